/* SPDX-License-Identifier: BSD-3-Clause */
#include "timestamp.h"
#include "number.h"

#include <smmintrin.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define DAY_MS INT64_C(86400000)

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar, the year counted from March so that the
 * leap day comes last. */
static inline int32_t days_from_date(int32_t year, int32_t month, int32_t day)
{
	int32_t since_march, day_of_year;
	uint32_t y, century;

	since_march = month > 2 ? month - 3 : month + 9;
	y = (uint32_t)(year + 400 - (month <= 2)); /* one whole cycle more keeps it positive */
	century = y / 100;
	day_of_year = (153 * since_march + 2) / 5 + day - 1;
	return (int32_t)(365 * y + y / 4 - century + century / 4) + day_of_year - 719468 - 146097;
}

static inline bool is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline bool is_date(int32_t year, int32_t month, int32_t day)
{
	static const uint8_t days[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return day <= 28 || day <= days[month] + (month == 2 && is_leap(year));
}

/* Two decimal digits, or a number above 99. */
static inline uint32_t two_digits(const char *text)
{
	uint32_t tens = (uint8_t)(text[0] - '0'), ones = (uint8_t)(text[1] - '0');

	return (tens | ones) > 15 || tens > 9 || ones > 9 ? UINT32_MAX : tens * 10 + ones;
}

struct fields {
	int32_t year, month, day, hour, minute;
};

/* "2025-06-17T23:30": shape and ranges of all fields at once. */
static inline bool read_fields(const char *text, struct fields *f)
{
	const __m128i gather = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, -1, -1, -1, -1);
	const __m128i marks = _mm_setr_epi8(4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
	const __m128i low = _mm_setr_epi16(0, 0, 1, 1, 0, 0, 0, 0);
	const __m128i high = _mm_setr_epi16(99, 99, 12, 31, 23, 59, 0, 0);
	__m128i input = _mm_loadu_si128((const __m128i *)text);
	__m128i digits = _mm_shuffle_epi8(_mm_sub_epi8(input, _mm_set1_epi8('0')), gather);
	__m128i pairs, bad;
	uint32_t punctuation = (uint32_t)_mm_cvtsi128_si32(_mm_shuffle_epi8(input, marks));

	bad = _mm_subs_epu8(digits, _mm_set1_epi8(9));
	pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));
	bad = _mm_or_si128(bad, _mm_or_si128(_mm_cmpgt_epi16(pairs, high), _mm_cmplt_epi16(pairs, low)));
	/* The "T" in either case. */
	if (!_mm_testz_si128(bad, bad) || (punctuation | 0x200000) != 0x3a742d2d)
		return false;
	f->year = _mm_extract_epi16(pairs, 0) * 100 + _mm_extract_epi16(pairs, 1);
	f->month = _mm_extract_epi16(pairs, 2);
	f->day = _mm_extract_epi16(pairs, 3);
	f->hour = _mm_extract_epi16(pairs, 4);
	f->minute = _mm_extract_epi16(pairs, 5);
	return is_date(f->year, f->month, f->day);
}

/* Whether second 60 exists in the minute that starts at `ms` UTC. */
static bool leap_second_at(int64_t ms, int32_t offset_minutes)
{
	char text[TIMESTAMP_TEXT_BYTES];

	/* A minute of the years before 0 or past 9999, by way of the offset, shows the same day in a year
	 * inside. */
	if (ms < TIMESTAMP_MIN_MS)
		ms += 146097 * DAY_MS;
	if (ms > TIMESTAMP_MAX_MS)
		ms -= 146097 * DAY_MS;
	return offset_minutes % 15 == 0 && timestamp_write(ms, text) &&
	       (memcmp(text + 4, "-06-30T23:59", 12) == 0 || memcmp(text + 4, "-12-31T23:59", 12) == 0);
}

/* The offset at text[at..len): "Z" or "+hh:mm". */
static inline bool read_offset(const char *text, uint32_t at, uint32_t len, int32_t *minutes)
{
	uint32_t hour, minute;

	if (len - at == 1) {
		*minutes = 0;
		return (text[at] | 0x20) == 'z';
	}
	if (len - at != 6 || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':')
		return false;
	hour = two_digits(text + at + 1);
	minute = two_digits(text + at + 4);
	if (hour > 23 || minute > 59)
		return false;
	*minutes = (int32_t)(hour * 60 + minute);
	if (text[at] == '-')
		*minutes = -*minutes;
	return true;
}

bool timestamp_rfc3339(const char *text, uint32_t len, int64_t *ms)
{
	uint32_t at = 19, second, milliseconds = 0;
	int32_t offset;
	struct fields f;
	int64_t minute_ms;

	if (len < 20 || text[16] != ':' || !read_fields(text, &f))
		return false;
	second = two_digits(text + 17);
	if (second > 60)
		return false;
	if (text[at] == '.') {
		uint32_t scale = 100;

		for (at++; at < len && (uint8_t)(text[at] - '0') <= 9; at++) {
			milliseconds += (uint32_t)(text[at] - '0') * scale;
			scale /= 10;
		}
		if (at == 20)
			return false;
	}
	if (!read_offset(text, at, len, &offset))
		return false;
	minute_ms =
	    days_from_date(f.year, f.month, f.day) * DAY_MS + (f.hour * 60 + f.minute - offset) * MINUTE_MS;
	if (second == 60 && !leap_second_at(minute_ms, offset))
		return false;
	*ms = minute_ms + second * 1000 + milliseconds;
	return true;
}

static inline bool in_range(int64_t ms)
{
	return ms >= TIMESTAMP_MIN_MS && ms <= TIMESTAMP_MAX_MS;
}

bool timestamp_unix_s(const char *text, uint32_t len, int64_t *ms)
{
	return number_scaled(text, len, 3, ms) && in_range(*ms);
}

bool timestamp_unix_ms(const char *text, uint32_t len, int64_t *ms)
{
	return (number_int64(text, len, ms) || number_scaled(text, len, 0, ms)) && in_range(*ms);
}

bool timestamp_date(const char *text, uint32_t len)
{
	uint32_t century, year, month, day;

	if (len != 10 || text[4] != '-' || text[7] != '-')
		return false;
	century = two_digits(text);
	year = two_digits(text + 2);
	month = two_digits(text + 5);
	day = two_digits(text + 8);
	if (century > 99 || year > 99 || month - 1 > 11 || day - 1 > 30)
		return false;
	return is_date((int32_t)(century * 100 + year), (int32_t)month, (int32_t)day);
}

static inline void put_two(char *out, uint32_t value)
{
	out[0] = (char)('0' + value / 10);
	out[1] = (char)('0' + value % 10);
}

bool timestamp_write(int64_t ms, char *out)
{
	uint32_t day, of_day, century, of_century, year, of_year, month;

	if (!in_range(ms))
		return false;
	/* Days since 0000-03-01, one cycle of 400 years earlier so that nothing is negative. */
	ms += (719468 + 146097) * DAY_MS;
	day = (uint32_t)(ms / DAY_MS);
	of_day = (uint32_t)(ms % DAY_MS);
	century = (4 * day + 3) / 146097;
	of_century = day - 146097 * century / 4;
	year = (4 * of_century + 3) / 1461;
	of_year = of_century - 1461 * year / 4;
	month = (5 * of_year + 2) / 153;
	day = of_year - (153 * month + 2) / 5 + 1;
	year += 100 * century + (month >= 10) - 400;
	month = month < 10 ? month + 3 : month - 9;

	put_two(out, year / 100);
	put_two(out + 2, year % 100);
	out[4] = '-';
	put_two(out + 5, month);
	out[7] = '-';
	put_two(out + 8, day);
	out[10] = 'T';
	put_two(out + 11, of_day / 3600000);
	out[13] = ':';
	put_two(out + 14, of_day / 60000 % 60);
	out[16] = ':';
	put_two(out + 17, of_day / 1000 % 60);
	out[19] = '.';
	out[20] = (char)('0' + of_day % 1000 / 100);
	put_two(out + 21, of_day % 100);
	out[23] = 'Z';
	return true;
}
