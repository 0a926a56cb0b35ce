/* SPDX-License-Identifier: BSD-3-Clause */
#include "error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void message_and_code(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "line %d: %s", 3, "no such key"), -EINVAL);
	assert_string_equal(err.text, "line 3: no such key");
	assert_int_equal(error_prefix(&err, -EINVAL, "%s", "a.yaml"), -EINVAL);
	assert_string_equal(err.text, "a.yaml: line 3: no such key");
}

static void long_messages_are_cut(void **state)
{
	char text[2 * sizeof(struct error)];
	struct error err;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -E2BIG, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_prefix(&err, -E2BIG, "prefix");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "prefix: xxx", 11);
}

static void null_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EIO, "ignored"), -EIO);
	assert_int_equal(error_prefix(NULL, -EIO, "ignored"), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(message_and_code),
	    cmocka_unit_test(long_messages_are_cut),
	    cmocka_unit_test(null_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
