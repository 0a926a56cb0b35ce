/* SPDX-License-Identifier: BSD-3-Clause */
#include "key_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX "00112233445566778899aabbccddeeFF"

static int read_text(const char *text, mode_t mode, struct key_file *key, struct error *err)
{
	char path[] = "/tmp/penstock-key-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
	rc = key_file_read(path, key, err);
	assert_int_equal(unlink(path), 0);
	return rc;
}

static void reads_a_key(void **state)
{
	static const char *const good[] = {"7:" HEX, "# from the operator\n\n7:" HEX "\n", "7:" HEX "\r\n"};
	struct key_file key;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(read_text(good[i], 0640, &key, &err), 0);
		assert_int_equal(key.id, 7);
		assert_int_equal(key.len, 16);
		assert_int_equal(key.bytes[1], 0x11);
		assert_int_equal(key.bytes[15], 0xff);
	}
}

static void refuses_what_is_no_key(void **state)
{
	static const char *const bad[] = {"", "# nothing\n", HEX, "x:" HEX, ":" HEX, "7:", "7:0011",
	    "7:" HEX "0", "7: " HEX, "4294967296:" HEX, "7:" HEX "\n8:" HEX "\n", "7:" HEX HEX HEX HEX HEX,
	    "-7:" HEX, "7:g0112233445566778899aabbccddeeff"};
	struct key_file key;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(read_text(bad[i], 0600, &key, &err) < 0);
	assert_true(read_text("7:" HEX, 0644, &key, &err) < 0);
	assert_non_null(strstr(err.text, "everybody may read it"));
	assert_true(key_file_read("/nonexistent", &key, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_a_key),
	    cmocka_unit_test(refuses_what_is_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
