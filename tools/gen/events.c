/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/events.h"

#include "gen/keys.h"

#include <string.h>

#define LITERAL(text) (text), sizeof(text) - 1
#define MS_PER_DAY 86400000
#define LATEST_MS 90000u /* how late a late detection is, at most */

struct text {
	const char *bytes;
	size_t len;
};
#define TEXT(text)            \
	{                     \
		LITERAL(text) \
	}

static const struct text platforms[] = {TEXT("mobile_app_android"), TEXT("mobile_app_ios"),
    TEXT("web_desktop"), TEXT("web_mobile"), TEXT("kiosk"), TEXT("partner_api")};
static const struct text devices[] = {TEXT("phone"), TEXT("tablet"), TEXT("desktop"), TEXT("tv")};
static const struct text items[] = {TEXT("person"), TEXT("bicycle"), TEXT("car"), TEXT("bus"),
    TEXT("backpack"), TEXT("suitcase"), TEXT("dog"), TEXT("umbrella")};

/* Members that no stream declares: kept as they come. */
static const struct text extras[] = {
    TEXT("{\"ab\":[\"b\",\"q3\"],\"viewport\":{\"w\":1280,\"h\":720}}"),
    TEXT("{\"referrer\":\"https:\\/\\/example.com\\/s?q=t-shirt\",\"depth\":3}"),
    TEXT("[]"),
    TEXT("[1,-2.5e3,null,true,{\"k\":[[]]}]"),
    TEXT("\"caf\xc3\xa9 \xe2\x82\xac 5 \xf0\x9f\x91\x95\""),
    TEXT("\"line\\nbreak \\\"quoted\\\" \\u00e9 \\ud83d\\udc55 {not,json}\""),
    TEXT("0"),
    TEXT("-0.0"),
    TEXT("1E+2"),
    TEXT("{\"\":\"\"}"),
};

static const struct text *pick(const struct text *texts, size_t n, struct rng *rng)
{
	return &texts[rng_below(rng, n)];
}
#define PICK(texts, rng) pick(texts, sizeof(texts) / sizeof((texts)[0]), rng)

void event_maker_init(struct event_maker *maker, const struct gen_options *options)
{
	maker->options = *options;
	zipf_init(&maker->products, options->products, options->zipf);
	zipf_init(&maker->users, options->users, options->zipf);
	zipf_init(&maker->places, options->places, options->zipf);
}

static char *digits(char *out, unsigned int n, int width)
{
	for (int i = width; i-- > 0; n /= 10)
		out[i] = (char)('0' + n % 10);
	return out + width;
}

size_t event_time_text(char *out, int64_t ms)
{
	/* Days to the civil calendar, counting years from March of year 0 (Hinnant's algorithm). */
	unsigned int days = (unsigned int)(ms / MS_PER_DAY) + 719468,
	             of_day = (unsigned int)(ms % MS_PER_DAY);
	unsigned int era = days / 146097, of_era = days % 146097;
	unsigned int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned int of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned int month = (5 * of_year + 2) / 153;
	unsigned int day = of_year - (153 * month + 2) / 5 + 1;
	char *at = out;

	month = month < 10 ? month + 3 : month - 9;
	at = digits(at, era * 400 + year + (month <= 2), 4);
	*at++ = '-';
	at = digits(at, month, 2);
	*at++ = '-';
	at = digits(at, day, 2);
	*at++ = 'T';
	at = digits(at, of_day / 3600000, 2);
	*at++ = ':';
	at = digits(at, of_day / 60000 % 60, 2);
	*at++ = ':';
	at = digits(at, of_day / 1000 % 60, 2);
	*at++ = '.';
	at = digits(at, of_day % 1000, 3);
	*at++ = 'Z';
	return (size_t)(at - out);
}

static int64_t event_time(const struct event_maker *maker, uint64_t index)
{
	return maker->options.start_ms + (int64_t)(index / maker->options.event_rate * 1000) +
	       (int64_t)(index % maker->options.event_rate * 1000 / maker->options.event_rate);
}

static void put_timestamp(struct draft *draft, const char *name, int64_t ms, struct rng *rng)
{
	char text[40];
	size_t len;
	uint64_t form = rng_below(rng, 64);

	if (form == 0) { /* another zone */
		len = event_time_text(text, ms + 2 * 3600000) - 1;
		memcpy(text + len, "+02:00", 6);
		len += 6;
	} else if (form == 1) { /* microseconds */
		len = event_time_text(text, ms) - 1;
		memcpy(text + len, "250Z", 4);
		len += 4;
	} else if (form == 2) { /* whole seconds */
		len = event_time_text(text, ms) - 5;
		text[len++] = 'Z';
	} else {
		len = event_time_text(text, ms);
	}
	draft_string(draft, name, text, len);
}

/* The `n` low digits of a number. */
static char *hex(char *out, uint64_t number, int n, bool upper)
{
	for (int i = n; i-- > 0; number >>= 4)
		out[i] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[number & 15];
	return out + n;
}

static void put_uuid(struct draft *draft, const char *name, struct rng *rng)
{
	uint64_t high = (rng_next(rng) & ~0xf000ull) | 0x4000; /* version 4 */
	uint64_t low = (rng_next(rng) & ~(3ull << 62)) | 2ull << 62;
	bool upper = rng_below(rng, 64) == 0;
	char text[36], *at = text;

	at = hex(at, high >> 32, 8, upper);
	*at++ = '-';
	at = hex(at, high >> 16, 4, upper);
	*at++ = '-';
	at = hex(at, high, 4, upper);
	*at++ = '-';
	at = hex(at, low >> 48, 4, upper);
	*at++ = '-';
	hex(at, low, 12, upper);
	draft_string(draft, name, text, sizeof(text));
}

/* A key; now and then with one character written as an escape, which a join must see through. */
static void put_key(struct draft *draft, const char *name, const char *key, size_t len, struct rng *rng)
{
	char text[KEY_MAX + 8];
	uint64_t at = rng_below(rng, 256 * len);

	if (at >= len) {
		draft_string(draft, name, key, len);
		return;
	}
	memcpy(text, key, at);
	memcpy(text + at, "\\u", 2);
	hex(text + at + 2, (unsigned char)key[at], 4, true);
	memcpy(text + at + 6, key + at + 1, len - at - 1);
	draft_string(draft, name, text, len + 5);
}

static bool put_product(
    const struct event_maker *maker, struct draft *draft, const char *name, struct rng *rng)
{
	bool unknown = rng_chance(rng, maker->options.unknown_products);
	char key[KEY_MAX];
	uint64_t id = zipf_next(&maker->products, rng);
	size_t len = unknown ? key_unknown_product(key, id) : key_product(key, id);

	put_key(draft, name, key, len, rng);
	return unknown;
}

static void put_user(const struct event_maker *maker, struct draft *draft, const char *name, struct rng *rng)
{
	char key[KEY_MAX];

	put_key(draft, name, key, key_user(key, zipf_next(&maker->users, rng)), rng);
}

static void put_place(const struct event_maker *maker, struct draft *draft, const char *name, struct rng *rng)
{
	char key[KEY_MAX];

	put_key(draft, name, key, key_place(key, zipf_next(&maker->places, rng)), rng);
}

static void put_session(struct draft *draft, const char *name, struct rng *rng)
{
	char text[20] = "session-";

	hex(text + 8, rng_next(rng), 12, false);
	draft_string(draft, name, text, sizeof(text));
}

static void put_extra(struct draft *draft, const char *name, struct rng *rng)
{
	const struct text *extra = PICK(extras, rng);

	draft_json(draft, name, extra->bytes, extra->len);
}

static bool make_catalog(
    const struct event_maker *maker, uint64_t index, struct draft *draft, struct rng *rng)
{
	uint64_t dice = rng_below(rng, 100);
	bool by_user = dice < 87, unknown;

	put_uuid(draft, "eventId", rng);
	put_timestamp(draft, "timestamp", event_time(maker, index), rng);
	if (dice < 70)
		draft_json(draft, "eventType", LITERAL("\"PRODUCT_VIEW\""));
	else if (dice < 82)
		draft_json(draft, "eventType", LITERAL("\"ADD_TO_CART\""));
	else if (dice < 87)
		draft_json(draft, "eventType", LITERAL("\"PURCHASE\""));
	else if (dice < 92)
		draft_json(draft, "eventType", LITERAL("\"PRICE_UPDATED\""));
	else if (dice < 98)
		draft_json(draft, "eventType", LITERAL("\"STOCK_CHANGED\""));
	else
		draft_json(draft, "eventType", LITERAL("\"PRODUCT_CREATED\""));
	if (by_user)
		put_user(maker, draft, "userId", rng);
	unknown = put_product(maker, draft, "productId", rng);
	if (by_user) {
		const struct text *platform = PICK(platforms, rng);

		put_session(draft, "sessionId", rng);
		draft_string(draft, "platform", platform->bytes, platform->len);
	}
	if (dice >= 70 && dice != 97)
		draft_cents(draft, "price", 99 + rng_below(rng, 50000));
	if (by_user && rng_below(rng, 10) < 6)
		put_place(maker, draft, "location", rng);
	if (dice >= 70 && dice < 87)
		draft_integer(draft, "quantity", 1 + rng_below(rng, 5));
	if (dice >= 92 && dice < 98)
		draft_integer(draft, "stock", rng_below(rng, 1000));
	if (rng_below(rng, 4) == 0)
		put_extra(draft, "context", rng);
	return unknown;
}

static bool make_detection(
    const struct event_maker *maker, uint64_t index, struct draft *draft, struct rng *rng)
{
	const struct text *item = PICK(items, rng);
	uint64_t place = zipf_next(&maker->places, rng);
	int64_t time_ms = event_time(maker, index);

	if (rng_below(rng, 20) == 0)
		time_ms -= (int64_t)rng_below(rng, LATEST_MS);
	draft_integer(draft, "geographical_location_oid", place);
	draft_integer(draft, "video_camera_oid", place * 16 + rng_below(rng, 16));
	/* Counted up from a point that the seed chooses; stays below 2^53. */
	draft_integer(draft, "detection_oid", (rng_mix(maker->options.seed) & 0xfff) << 40 | (index + 1));
	draft_string(draft, "item_name", item->bytes, item->len);
	draft_integer(draft, "timestamp_detected", (uint64_t)time_ms);
	return false;
}

static bool make_shop(const struct event_maker *maker, uint64_t index, struct draft *draft, struct rng *rng)
{
	static const struct text types[] = {
	    TEXT("view"), TEXT("view"), TEXT("view"), TEXT("search"), TEXT("cart"), TEXT("purchase")};
	const struct text *type = PICK(types, rng), *device = PICK(devices, rng);
	bool unknown = false;

	put_uuid(draft, "event_id", rng);
	draft_string(draft, "event_type", type->bytes, type->len);
	put_user(maker, draft, "user_id", rng);
	put_session(draft, "session_id", rng);
	put_place(maker, draft, "location", rng);
	draft_string(draft, "device", device->bytes, device->len);
	put_timestamp(draft, "timestamp", event_time(maker, index), rng);
	if (type->bytes[0] == 's')
		draft_string(draft, "query", LITERAL("red shoes"));
	else
		unknown = put_product(maker, draft, "product_id", rng);
	if (type->bytes[0] == 'p')
		draft_cents(draft, "amount", 99 + rng_below(rng, 50000));
	if (rng_below(rng, 3) == 0)
		put_extra(draft, "properties", rng);
	return unknown;
}

bool event_make(const struct event_maker *maker, uint64_t index, struct draft *draft)
{
	struct rng rng = rng_at(maker->options.seed, index, 0);

	draft_clear(draft);
	switch (maker->options.stream) {
	case GEN_CATALOG:
		return make_catalog(maker, index, draft, &rng);
	case GEN_DETECTIONS:
		return make_detection(maker, index, draft, &rng);
	default:
		return make_shop(maker, index, draft, &rng);
	}
}
