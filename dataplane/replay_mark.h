/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a replayed event says that it is one: a mark before the line, which `penstock dlq replay` writes and the
 * daemon takes off before anything else sees the line, so that a dead letter that fails again can say how often
 * it has been replayed. It travels like any other bytes of a line, in plain datagrams and in frames.
 *
 *   0x1E, the number of this replay (1 to REPLAY_MAX, decimal), optionally "!", 0x1E, the event
 *
 * No JSON text starts with 0x1E. "!": the dead letter had passed deduplication, so a mark of its own is in the
 * window, and it is no duplicate for that. What is not exactly such a mark is left where it is, and is no JSON.
 *
 * Header only, no state; any thread. Cost: one comparison per line.
 */
#ifndef PENSTOCK_REPLAY_MARK_H
#define PENSTOCK_REPLAY_MARK_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_MAX 15u
#define REPLAY_MARK_BYTE '\x1e'
#define REPLAY_MARK_MAX_BYTES 5u

/* The length of the mark that the line begins with; 0: none. */
static inline uint32_t replay_mark_read(const char *line, uint32_t len, uint8_t *replays, bool *own_mark)
{
	uint32_t at = 1, n = 0;
	bool own;

	if (len == 0 || line[0] != REPLAY_MARK_BYTE)
		return 0;
	for (; at < len && at <= 2 && line[at] >= '0' && line[at] <= '9'; at++)
		n = 10 * n + (uint32_t)(line[at] - '0');
	own = at < len && line[at] == '!';
	at += own;
	if (n == 0 || n > REPLAY_MAX || line[1] == '0' || at + 1 >= len || line[at] != REPLAY_MARK_BYTE)
		return 0;
	*replays = (uint8_t)n;
	*own_mark = own;
	return at + 1;
}

/* How long such a mark is; 0 for an event that is no replay. */
static inline uint32_t replay_mark_len(uint8_t replays, bool own_mark)
{
	return replays == 0 ? 0 : 3 + (replays >= 10) + own_mark;
}

/* Writes a mark, without a NUL. Returns its length. */
static inline uint32_t replay_mark_write(char out[REPLAY_MARK_MAX_BYTES], uint8_t replays, bool own_mark)
{
	uint32_t at = 0;

	out[at++] = REPLAY_MARK_BYTE;
	if (replays >= 10)
		out[at++] = '1';
	out[at++] = (char)('0' + replays % 10);
	if (own_mark)
		out[at++] = '!';
	out[at++] = REPLAY_MARK_BYTE;
	return at;
}
_Static_assert(REPLAY_MAX < 20, "the tens are written as 1");

#endif
