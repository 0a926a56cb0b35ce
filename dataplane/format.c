/* SPDX-License-Identifier: BSD-3-Clause */
#include "format.h"
#include "byteclass.h"
#include "timestamp.h"

#include <assert.h>

#define HOSTNAME_BYTES 253u
#define LABEL_BYTES 63u

/* Expressions end in \z because $ also matches before a final newline. */
/* clang-format off */
#define UUID "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

#define YEAR "[0-9]{4}"
#define LEAP_YEAR "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#define MONTH_DAY \
	"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define DATE "(" YEAR "-" MONTH_DAY "|" LEAP_YEAR "-02-29)"
#define HOUR "([01][0-9]|2[0-3])"
#define MINUTE "[0-5][0-9]"
#define FRACTION "(\\.[0-9]+)?"
#define OFFSET "([Zz]|[+-]" HOUR ":" MINUTE ")"

/* 23:59:60 UTC on a clock that is behind by hh:00, hh:15, hh:30 or hh:45: it is still the same day. */
#define LEAP(minute) minute ":60" FRACTION
#define BEHIND(hour, hh) "|" hour ":(" \
	LEAP("59") "-" hh ":00|" LEAP("44") "-" hh ":15|" LEAP("29") "-" hh ":30|" LEAP("14") "-" hh ":45)"
#define LEAP_SAME_DAY YEAR "-(06-30|12-31)[Tt](23:" LEAP("59") "([Zz]|\\+00:00)" \
	BEHIND("23", "00") BEHIND("22", "01") BEHIND("21", "02") BEHIND("20", "03") BEHIND("19", "04") \
	BEHIND("18", "05") BEHIND("17", "06") BEHIND("16", "07") BEHIND("15", "08") BEHIND("14", "09") \
	BEHIND("13", "10") BEHIND("12", "11") BEHIND("11", "12") BEHIND("10", "13") BEHIND("09", "14") \
	BEHIND("08", "15") BEHIND("07", "16") BEHIND("06", "17") BEHIND("05", "18") BEHIND("04", "19") \
	BEHIND("03", "20") BEHIND("02", "21") BEHIND("01", "22") BEHIND("00", "23") ")"

/* On a clock that is ahead it is the day after, and at whole hours one hour less than the offset. */
#define QUARTERS(hh) hh ":(" \
	LEAP("14") "\\+" hh ":15|" LEAP("29") "\\+" hh ":30|" LEAP("44") "\\+" hh ":45)"
#define AHEAD(hh) "|" QUARTERS(hh)
#define AHEAD_WHOLE(hour, hh) "|" hour ":" LEAP("59") "\\+" hh ":00"
#define LEAP_DAY_AFTER YEAR "-(07-01|01-01)[Tt](" QUARTERS("00") \
	AHEAD("01") AHEAD("02") AHEAD("03") AHEAD("04") AHEAD("05") AHEAD("06") AHEAD("07") AHEAD("08") \
	AHEAD("09") AHEAD("10") AHEAD("11") AHEAD("12") AHEAD("13") AHEAD("14") AHEAD("15") AHEAD("16") \
	AHEAD("17") AHEAD("18") AHEAD("19") AHEAD("20") AHEAD("21") AHEAD("22") AHEAD("23") \
	AHEAD_WHOLE("00", "01") AHEAD_WHOLE("01", "02") AHEAD_WHOLE("02", "03") AHEAD_WHOLE("03", "04") \
	AHEAD_WHOLE("04", "05") AHEAD_WHOLE("05", "06") AHEAD_WHOLE("06", "07") AHEAD_WHOLE("07", "08") \
	AHEAD_WHOLE("08", "09") AHEAD_WHOLE("09", "10") AHEAD_WHOLE("10", "11") AHEAD_WHOLE("11", "12") \
	AHEAD_WHOLE("12", "13") AHEAD_WHOLE("13", "14") AHEAD_WHOLE("14", "15") AHEAD_WHOLE("15", "16") \
	AHEAD_WHOLE("16", "17") AHEAD_WHOLE("17", "18") AHEAD_WHOLE("18", "19") AHEAD_WHOLE("19", "20") \
	AHEAD_WHOLE("20", "21") AHEAD_WHOLE("21", "22") AHEAD_WHOLE("22", "23") ")"

#define RFC3339 DATE "[Tt]" HOUR ":" MINUTE ":" MINUTE FRACTION OFFSET "|" LEAP_SAME_DAY "|" LEAP_DAY_AFTER

#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4 OCTET "(\\." OCTET "){3}"

/* RFC 3986 appendix A: "::" stands for at least one group. */
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(" H16 ":" H16 "|" IPV4 ")"
#define UP_TO(n) "((" H16 ":){0," n "}" H16 ")?::"
#define IPV6 "(" \
	"(" H16 ":){6}" LS32 \
	"|::(" H16 ":){5}" LS32 \
	"|(" H16 ")?::(" H16 ":){4}" LS32 \
	"|" UP_TO("1") "(" H16 ":){3}" LS32 \
	"|" UP_TO("2") "(" H16 ":){2}" LS32 \
	"|" UP_TO("3") H16 ":" LS32 \
	"|" UP_TO("4") LS32 \
	"|" UP_TO("5") H16 \
	"|" UP_TO("6") ")"

#define LABEL "[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
#define HOSTNAME LABEL "(\\." LABEL ")*"
#define EMAIL "[0-9A-Za-z.!#$%&'*+/=?^_`{|}~-]+@" HOSTNAME
/* clang-format on */

static const struct format_info formats[FORMAT_COUNT] = {
    [FORMAT_UUID] = {"^" UUID "\\z", 0},
    [FORMAT_RFC3339] = {"^(" RFC3339 ")\\z", 0},
    [FORMAT_DATE] = {"^" DATE "\\z", 0},
    [FORMAT_IPV4] = {"^" IPV4 "\\z", 0},
    [FORMAT_IPV6] = {"^" IPV6 "\\z", 0},
    [FORMAT_IP] = {"^(" IPV4 "|" IPV6 ")\\z", 0},
    [FORMAT_EMAIL] = {"^" EMAIL "\\z", 0},
    [FORMAT_HOSTNAME] = {"^" HOSTNAME "\\z", HOSTNAME_BYTES},
};

const struct format_info *format_info(enum field_format format)
{
	assert(format > FORMAT_NONE && format < FORMAT_COUNT);
	return &formats[format];
}

/* Bit c >> 4 of entry c & 15, as struct byteclass has it. */
static const struct byteclass hex_digits = {{0x08, 0x58, 0x58, 0x58, 0x58, 0x58, 0x58, 0x08, 0x08, 0x08}};
static const struct byteclass label_bytes = {
    {0xa8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf0, 0x50, 0x50, 0x54, 0x50, 0x50}};
static const struct byteclass local_bytes = {
    {0xe8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xf8, 0xf8, 0xf4, 0xd4, 0xd0, 0xdc, 0xf4, 0x7c}};

bool format_uuid(const char *text, uint32_t len)
{
	const __m128i dash = _mm_set1_epi8('-');
	/* Bytes 0-15, 16-31 and 20-35; the dashes are at 8, 13, 18 and 23. */
	const __m128i at0 = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0);
	const __m128i at16 = _mm_setr_epi8(0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m128i at20 = _mm_setr_epi8(0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i v0, v16, v20, wrong;

	if (len != 36)
		return false;
	v0 = _mm_loadu_si128((const __m128i *)text);
	v16 = _mm_loadu_si128((const __m128i *)(text + 16));
	v20 = _mm_loadu_si128((const __m128i *)(text + 20));
	/* No hex digit exactly where a dash is due, and a dash there. */
	wrong = _mm_xor_si128(byteclass_misses(&hex_digits, v0), at0);
	wrong = _mm_or_si128(wrong, _mm_xor_si128(byteclass_misses(&hex_digits, v16), at16));
	wrong = _mm_or_si128(wrong, _mm_xor_si128(byteclass_misses(&hex_digits, v20), at20));
	wrong = _mm_or_si128(wrong, _mm_andnot_si128(_mm_cmpeq_epi8(v0, dash), at0));
	wrong = _mm_or_si128(wrong, _mm_andnot_si128(_mm_cmpeq_epi8(v16, dash), at16));
	return _mm_testz_si128(wrong, wrong);
}

bool format_ipv4(const char *text, uint32_t len)
{
	uint32_t at = 0;

	if (len < 7 || len > 15)
		return false;
	for (int octets = 0;; at++) {
		uint32_t start = at, value = 0;

		for (; at < len && (uint8_t)(text[at] - '0') <= 9; at++) {
			value = value * 10 + (uint32_t)(text[at] - '0');
			if (value > 255)
				return false;
		}
		if (at == start || (text[start] == '0' && at - start > 1))
			return false;
		if (++octets == 4)
			return at == len;
		if (at == len || text[at] != '.')
			return false;
	}
}

bool format_ipv6(const char *text, uint32_t len)
{
	uint32_t at = 0, groups = 0;
	bool gap = false;

	if (len < 2 || len > 45)
		return false;
	if (text[0] == ':') {
		if (text[1] != ':')
			return false;
		gap = true;
		at = 2;
		if (len == 2)
			return true;
	}
	for (;;) {
		uint32_t start = at;

		while (at < len && at - start < 4 && byteclass_has(&hex_digits, (uint8_t)text[at]))
			at++;
		if (at < len && text[at] == '.') {
			groups += 2;
			return (gap ? groups <= 7 : groups == 8) && format_ipv4(text + start, len - start);
		}
		if (at == start)
			return false;
		groups++;
		if (at == len)
			break;
		if (text[at++] != ':' || at == len)
			return false;
		if (text[at] == ':') {
			if (gap)
				return false;
			gap = true;
			if (++at == len)
				break;
		}
	}
	return gap ? groups <= 7 : groups == 8;
}

/* Labels with dots between them. */
static bool labels(const char *text, uint32_t len)
{
	for (uint32_t at = 0;; at++) {
		uint32_t n = byteclass_run(&label_bytes, text + at, len - at);

		if (n == 0 || n > LABEL_BYTES || text[at] == '-' || text[at + n - 1] == '-')
			return false;
		at += n;
		if (at == len)
			return true;
		if (text[at] != '.')
			return false;
	}
}

bool format_hostname(const char *text, uint32_t len)
{
	return len <= HOSTNAME_BYTES && labels(text, len);
}

bool format_email(const char *text, uint32_t len)
{
	uint32_t local = byteclass_run(&local_bytes, text, len);

	return local > 0 && local < len && text[local] == '@' && labels(text + local + 1, len - local - 1);
}

bool format_check(enum field_format format, const char *text, uint32_t len)
{
	int64_t ms;

	switch (format) {
	case FORMAT_UUID:
		return format_uuid(text, len);
	case FORMAT_RFC3339:
		return timestamp_rfc3339(text, len, &ms);
	case FORMAT_DATE:
		return timestamp_date(text, len);
	case FORMAT_IPV4:
		return format_ipv4(text, len);
	case FORMAT_IPV6:
		return format_ipv6(text, len);
	case FORMAT_IP:
		return format_ipv4(text, len) || format_ipv6(text, len);
	case FORMAT_EMAIL:
		return format_email(text, len);
	case FORMAT_HOSTNAME:
		return format_hostname(text, len);
	case FORMAT_NONE:
	case FORMAT_COUNT:
		break;
	}
	return true;
}
