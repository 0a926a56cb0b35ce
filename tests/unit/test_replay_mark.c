/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void marks_are_read_as_they_are_written(void **state)
{
	(void)state;
	for (uint8_t replays = 1; replays <= REPLAY_MAX; replays++) {
		for (int own = 0; own < 2; own++) {
			char line[REPLAY_MARK_MAX_BYTES + 2];
			uint32_t len = replay_mark_write(line, replays, own != 0);
			uint8_t found = 0;
			bool own_mark = !own;

			assert_in_range(len, 3, REPLAY_MARK_MAX_BYTES);
			assert_int_equal(replay_mark_len(replays, own != 0), len);
			memcpy(line + len, "{}", 2);
			assert_int_equal(replay_mark_read(line, len + 2, &found, &own_mark), len);
			assert_int_equal(found, replays);
			assert_int_equal(own_mark, own);
		}
	}
}

static void everything_else_is_none(void **state)
{
	static const char *const lines[] = {"", "{}", "\x1e", "\x1e{}",
	    "\x1e"
	    "1{}",
	    "\x1e\x1e{}",
	    "\x1e"
	    "0\x1e{}",
	    "\x1e"
	    "16\x1e{}",
	    "\x1e"
	    "01\x1e{}",
	    "\x1e"
	    "111\x1e{}",
	    "\x1e"
	    "1!!\x1e{}",
	    "\x1e!\x1e{}",
	    "\x1e"
	    "1\x1e",
	    "\x1e"
	    "1!",
	    "\x1e"
	    "1 \x1e{}",
	    " \x1e"
	    "1\x1e{}"};
	bool own_mark = false;
	uint8_t replays = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char copy[16]; /* without the NUL, for the address sanitizer */
		uint32_t len = (uint32_t)strlen(lines[i]);

		memcpy(copy + sizeof(copy) - len, lines[i], len);
		assert_int_equal(replay_mark_read(copy + sizeof(copy) - len, len, &replays, &own_mark), 0);
		assert_int_equal(replays, 0);
		assert_false(own_mark);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(marks_are_read_as_they_are_written),
	    cmocka_unit_test(everything_else_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
