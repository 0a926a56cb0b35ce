/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast a restart reads the identity log: writes segments with random identities into a directory, then restores a
 * dedup table from them on one core, as the daemon does before the first event.
 *
 *     identities DIRECTORY [MILLIONS]
 */
#include "identity_log.h"

#include "identity_file.h"
#include "identity_secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_MS (3600 * 1000)
#define SEGMENT_KEYS (4u << 20)

static const uint8_t secret[16] = "of a benchmark..";

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static bool write_segment(const char *directory, uint32_t number, uint64_t stream_id)
{
	static uint64_t keys[IDENTITY_BLOCK_KEYS][2];
	struct identity_header header = {.secret_id = identity_secret_id(secret), .sequence = number};
	size_t block = identity_block_size(IDENTITY_BLOCK_MARKS, IDENTITY_BLOCK_KEYS);
	uint8_t *bytes;
	char path[4096];
	bool ok;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%016x.ids", directory, number);
	file = fopen(path, "wb");
	if (file == NULL)
		return false;
	bytes = malloc(IDENTITY_HEADER_BYTES + block);
	if (bytes == NULL) {
		(void)fclose(file);
		return false;
	}
	identity_header_write(&header, bytes);
	ok = fwrite(bytes, 1, IDENTITY_HEADER_BYTES, file) == IDENTITY_HEADER_BYTES;
	for (uint32_t b = 0; ok && b < SEGMENT_KEYS / IDENTITY_BLOCK_KEYS; b++) {
		for (uint32_t i = 0; i < IDENTITY_BLOCK_KEYS; i++) {
			uint64_t n = (uint64_t)number * SEGMENT_KEYS + (uint64_t)b * IDENTITY_BLOCK_KEYS + i;

			keys[i][0] = mix(2 * n);
			keys[i][1] = mix(2 * n + 1);
		}
		(void)identity_block_write(&(struct identity_block){.type = IDENTITY_BLOCK_MARKS,
		                               .stream_id = stream_id,
		                               .time = {clock_wall_ms(&system_clock), 0},
		                               .payload = keys,
		                               .count = IDENTITY_BLOCK_KEYS},
		    bytes);
		ok = fwrite(bytes, 1, block, file) == block;
	}
	free(bytes);
	return fclose(file) == 0 && ok;
}

int main(int argc, char **argv)
{
	uint32_t millions = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 32;
	uint32_t segments = (uint32_t)((uint64_t)millions * 1000000 / SEGMENT_KEYS) + 1;
	struct identity_log_options options = {.directory = argc > 1 ? argv[1] : NULL,
	    .streams = {{.id = identity_stream_id("bench", "id"), .window_ms = WINDOW_MS}},
	    .n_streams = 1,
	    .n_sinks = 1,
	    .clock = &system_clock};
	uint64_t keys = (uint64_t)segments * SEGMENT_KEYS, begin_ns;
	struct identity_progress progress = {0};
	struct identity_restored restored;
	struct identity_log *log;
	struct error err;
	double s;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: identities DIRECTORY [MILLIONS]\n");
		return 2;
	}
	memcpy(options.secret, secret, sizeof(secret));
	(void)mkdir(argv[1], 0700);
	for (uint32_t i = 0; i < segments; i++) {
		if (!write_segment(argv[1], i, options.streams[0].id)) {
			perror(argv[1]);
			return 1;
		}
	}
	if (dedup_create(keys * 16 / 3 * 4, WINDOW_MS, secret, -1, HUGEPAGES_AUTO, &options.streams[0].dedup,
	        &err) != 0 ||
	    identity_log_create(&options, &log, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	begin_ns = clock_mono_ns(&system_clock);
	if (identity_log_restore(log, &progress, &restored, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	s = (double)(clock_mono_ns(&system_clock) - begin_ns) / 1e9;
	(void)printf("%llu identities, %.0f MB on disk, restored %llu in %.2f s: %.1f M/s, table at 75 %%\n",
	    (unsigned long long)keys, (double)restored.bytes / 1e6, (unsigned long long)restored.marks, s,
	    (double)restored.marks / s / 1e6);
	identity_log_destroy(log);
	dedup_destroy(options.streams[0].dedup);
	return restored.marks > keys * 99 / 100 ? 0 : 1;
}
