/* SPDX-License-Identifier: BSD-3-Clause */
#include "format.h"
#include "random_text.h"

#include <arpa/inet.h>
#include <stdio.h>

#define ROUNDS 250000

static const char hex[] = "0123456789abcdefABCDEF";
static const char alphanumeric[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static void make_uuid(struct text *t, uint64_t *state)
{
	put_some(t, state, hex, 8);
	for (int i = 0; i < 3; i++) {
		put(t, "-");
		put_some(t, state, hex, 4);
	}
	put(t, "-");
	put_some(t, state, hex, 12);
}

static void make_date(struct text *t, uint64_t *state)
{
	static const uint32_t years[] = {0, 1600, 1700, 1900, 2000, 2024, 2025, 2100, 4000, 9999, 2096, 1996};
	uint32_t year = rnd(state, 2) ? years[rnd(state, 12)] : rnd(state, 10000);
	char date[32];

	(void)snprintf(date, sizeof(date), "%04u-%02u-%02u", year,
	    rnd(state, 8) ? 1 + rnd(state, 12) : rnd(state, 15),
	    rnd(state, 2) ? 27 + rnd(state, 5) : 1 + rnd(state, 31));
	put(t, date);
}

/* 23:59:60 UTC in some zone, nearly always. */
static void make_leap_second(struct text *t, uint64_t *state)
{
	int offset = (int)(rnd(state, 24) * 60 + (rnd(state, 8) ? rnd(state, 4) * 15 : rnd(state, 60)));
	bool ahead = rnd(state, 2);
	int local = (ahead ? 1439 + offset : 1439 - offset) + (rnd(state, 16) ? 0 : (int)rnd(state, 60) - 30);
	static const char *const same[] = {"06-30", "12-31", "06-29"}, *const after[] = {
	                                                                   "07-01", "01-01", "06-30"};
	uint32_t which = rnd(state, 20) ? rnd(state, 2) : 2;
	bool next_day = local >= 1440;
	char time[64];

	local = (local + 1440) % 1440;
	(void)snprintf(time, sizeof(time), "%04u-%s%c%02d:%02d:60", rnd(state, 10000),
	    next_day ? after[which] : same[which], pick(state, "TTTt"), local / 60, local % 60);
	put(t, time);
	if (rnd(state, 3) == 0) {
		put(t, ".");
		put_some(t, state, "0123456789", 1 + rnd(state, 9));
	}
	(void)snprintf(time, sizeof(time), "%c%02d:%02d", ahead ? '+' : '-', offset / 60, offset % 60);
	put(t, offset == 0 && rnd(state, 2) ? "Z" : time);
}

static void make_rfc3339(struct text *t, uint64_t *state)
{
	char time[32];

	if (rnd(state, 3) == 0) {
		make_leap_second(t, state);
		return;
	}
	make_date(t, state);
	(void)snprintf(time, sizeof(time), "%c%02u:%02u:%02u", pick(state, "TTTTTTTt "), rnd(state, 25),
	    rnd(state, 61), rnd(state, 62));
	put(t, time);
	if (rnd(state, 2)) {
		put(t, ".");
		put_some(t, state, "0123456789", 1 + rnd(state, 12));
	}
	if (rnd(state, 2)) {
		put(t, rnd(state, 4) ? "Z" : "z");
	} else {
		(void)snprintf(
		    time, sizeof(time), "%c%02u:%02u", pick(state, "+-"), rnd(state, 25), rnd(state, 61));
		put(t, time);
	}
}

static void make_ipv4(struct text *t, uint64_t *state)
{
	char octet[16];

	for (int i = 0; i < 4; i++) {
		(void)snprintf(octet, sizeof(octet), "%s%u", i ? "." : "",
		    rnd(state, 3) ? rnd(state, 256) : 240 + rnd(state, 20));
		put(t, octet);
	}
}

static void make_ipv6(struct text *t, uint64_t *state)
{
	uint32_t gap = rnd(state, 3) ? rnd(state, 9) : 99;
	uint32_t groups = gap == 99 ? 8 : rnd(state, 9);
	bool v4 = rnd(state, 3) == 0;

	if (v4 && groups >= 2)
		groups -= 2;
	for (uint32_t i = 0; i < groups; i++) {
		if (i == gap)
			put(t, i == 0 ? "::" : ":");
		put_some(t, state, hex, 1 + rnd(state, 4));
		if (i + 1 < groups || v4)
			put(t, ":");
	}
	if (gap != 99 && gap >= groups)
		put(t, groups == 0 || !v4 ? "::" : ":");
	if (v4)
		make_ipv4(t, state);
}

static void make_ip(struct text *t, uint64_t *state)
{
	if (rnd(state, 2))
		make_ipv4(t, state);
	else
		make_ipv6(t, state);
}

static void make_hostname(struct text *t, uint64_t *state)
{
	uint32_t labels = 1 + rnd(state, 5);

	for (uint32_t i = 0; i < labels; i++) {
		uint32_t n = rnd(state, 4) ? 1 + rnd(state, 12) : 55 + rnd(state, 11);

		if (i != 0)
			put(t, ".");
		put_some(t, state, alphanumeric, 1);
		if (n > 2)
			put_some(t, state, rnd(state, 2) ? alphanumeric : "ab-0", n - 2);
		if (n > 1)
			put_some(t, state, alphanumeric, 1);
	}
}

static void make_email(struct text *t, uint64_t *state)
{
	put_some(t, state, "0123456789abcxyzABCXYZ.!#$%&'*+/=?^_`{|}~-", 1 + rnd(state, 40));
	put(t, "@");
	make_hostname(t, state);
}

struct format_case {
	enum field_format format;
	void (*make)(struct text *t, uint64_t *state);
	const char *alphabet; /* of mutations */
};

/* Every byte of ASCII but NUL. */
static const char *ascii(void)
{
	static char all[128];

	for (int i = 1; i < 128; i++)
		all[i - 1] = (char)i;
	return all;
}

static bool by_inet_pton(enum field_format format, const struct text *t)
{
	char text[TEXT_MAX + 1];
	uint8_t address[16];

	if (memchr(t->bytes, '\0', t->len) != NULL)
		return false;
	memcpy(text, t->bytes, t->len);
	text[t->len] = '\0';
	return (format != FORMAT_IPV6 && inet_pton(AF_INET, text, address) == 1) ||
	       (format != FORMAT_IPV4 && inet_pton(AF_INET6, text, address) == 1);
}

static void equals_its_expression(void **state)
{
	const struct format_case *c = *state;
	const struct format_info *info = format_info(c->format);
	uint64_t seed = 0x9e3779b97f4a7c15 + (uint64_t)c->format;
	uint32_t accepted = 0, refused = 0;
	struct oracle oracle;

	oracle_open(&oracle, info->regex, info->max_bytes);
	for (int i = 0; i < ROUNDS; i++) {
		struct text t = {0};
		bool want, got;
		char *copy;

		if (rnd(&seed, 50) == 0)
			put_some(&t, &seed, c->alphabet, rnd(&seed, 60));
		else
			c->make(&t, &seed);
		for (uint32_t n = rnd(&seed, 3); n > 0; n--)
			mutate(&t, &seed, rnd(&seed, 4) ? c->alphabet : ascii());
		if (rnd(&seed, 100) == 0 && t.len > 0 && t.len < TEXT_MAX - 2)
			put(&t, "\xc3\xa9");
		copy = exact_copy(&t);
		want = oracle_match(&oracle, copy, t.len);
		got = format_check(c->format, copy, t.len);
		if (want != got)
			fail_msg("\"%.*s\": expression %d, check %d", (int)t.len, copy, want, got);
		if (c->format == FORMAT_IPV4 || c->format == FORMAT_IPV6 || c->format == FORMAT_IP)
			assert_int_equal(by_inet_pton(c->format, &t), got);
		free(copy);
		accepted += got;
		refused += !got;
	}
	oracle_close(&oracle);
	/* The strings were worth comparing. */
	assert_true(accepted > ROUNDS / 8);
	assert_true(refused > ROUNDS / 8);
}

/* Bytes above 0x7f, which Hyperscan may not be given alone, are in no format. */
static void no_format_takes_other_bytes(void **state)
{
	const struct format_case *c = *state;
	uint64_t seed = 99;

	for (int i = 0; i < 20000; i++) {
		struct text t = {0};
		char *copy;

		c->make(&t, &seed);
		t.bytes[rnd(&seed, t.len)] |= (char)0x80;
		copy = exact_copy(&t);
		assert_false(format_check(c->format, copy, t.len));
		free(copy);
	}
}

static void known_answers(void **state)
{
	static const struct {
		const char *text;
		enum field_format format;
		bool valid;
	} cases[] = {
	    {"f47ac10b-58cc-4372-a567-0e02b2c3d479", FORMAT_UUID, true},
	    {"F47AC10B-58CC-4372-A567-0E02B2C3D479", FORMAT_UUID, true},
	    {"00000000-0000-0000-0000-000000000000", FORMAT_UUID, true},
	    {"f47ac10b-58cc-4372-a567-0e02b2c3d479\n", FORMAT_UUID, false},
	    {"f47ac10b058cc-4372-a567-0e02b2c3d479", FORMAT_UUID, false},
	    {"{f47ac10b-58cc-4372-a567-0e02b2c3d47}", FORMAT_UUID, false},
	    {"1990-12-31T15:59:60-08:00", FORMAT_RFC3339, true},
	    {"2025-06-17T23:30:60Z", FORMAT_RFC3339, false},
	    {"2000-02-29", FORMAT_DATE, true},
	    {"1900-02-29", FORMAT_DATE, false},
	    {"255.255.255.255", FORMAT_IPV4, true},
	    {"01.2.3.4", FORMAT_IPV4, false},
	    {"1.2.3", FORMAT_IPV4, false},
	    {"::", FORMAT_IPV6, true},
	    {"::1", FORMAT_IPV6, true},
	    {"1:2:3:4:5:6:7::", FORMAT_IPV6, true},
	    {"1:2:3:4:5:6:7:8::", FORMAT_IPV6, false},
	    {"::ffff:192.0.2.1", FORMAT_IPV6, true},
	    {"fe80::1%eth0", FORMAT_IPV6, false},
	    {"1::2::3", FORMAT_IPV6, false},
	    {":1:2:3:4:5:6:7", FORMAT_IPV6, false},
	    {"10.0.0.1", FORMAT_IP, true},
	    {"2001:db8::1", FORMAT_IP, true},
	    {"localhost", FORMAT_IP, false},
	    {"example.com", FORMAT_HOSTNAME, true},
	    {"3com.com", FORMAT_HOSTNAME, true},
	    {"-a.com", FORMAT_HOSTNAME, false},
	    {"a-.com", FORMAT_HOSTNAME, false},
	    {"a..com", FORMAT_HOSTNAME, false},
	    {"example.com.", FORMAT_HOSTNAME, false},
	    {"", FORMAT_HOSTNAME, false},
	    {"someone+tag@example.com", FORMAT_EMAIL, true},
	    {"someone@localhost", FORMAT_EMAIL, true},
	    {"someone@", FORMAT_EMAIL, false},
	    {"@example.com", FORMAT_EMAIL, false},
	    {"a b@example.com", FORMAT_EMAIL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (format_check(cases[i].format, cases[i].text, (uint32_t)strlen(cases[i].text)) !=
		    cases[i].valid)
			fail_msg("%s", cases[i].text);
	assert_true(format_check(FORMAT_NONE, "anything", 8));
}

static const struct format_case uuid_case = {FORMAT_UUID, make_uuid, "0123456789abcdefABCDEF-g"};
static const struct format_case rfc3339_case = {FORMAT_RFC3339, make_rfc3339, "0123456789:-+.TtZz "};
static const struct format_case date_case = {FORMAT_DATE, make_date, "0123456789-"};
static const struct format_case ipv4_case = {FORMAT_IPV4, make_ipv4, "0123456789."};
static const struct format_case ipv6_case = {FORMAT_IPV6, make_ipv6, "0123456789abcdefABCDEF.:::::::"};
static const struct format_case ip_case = {FORMAT_IP, make_ip, "0123456789abcdef...:::"};
static const struct format_case email_case = {FORMAT_EMAIL, make_email, "abc01@.-_~{ \"<>"};
static const struct format_case hostname_case = {FORMAT_HOSTNAME, make_hostname, "abcXYZ019-._"};

#define BOTH(name)                                                                                           \
	{#name " equals its expression", equals_its_expression, NULL, NULL, (void *)&name##_case},           \
	{                                                                                                    \
#name " takes no other bytes", no_format_takes_other_bytes, NULL, NULL, (void *)&name##_case \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_answers),
	    BOTH(uuid),
	    BOTH(rfc3339),
	    BOTH(date),
	    BOTH(ipv4),
	    BOTH(ipv6),
	    BOTH(ip),
	    BOTH(email),
	    BOTH(hostname),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
