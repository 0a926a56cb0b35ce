/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_restore.h"

#include "identity_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define AHEAD 16u /* marks whose cache misses overlap */
/* The largest that the log writes: the last block may pass the bound. */
#define SEGMENT_MAX_BYTES ((uint64_t)IDENTITY_SEGMENT_BYTES + (16u << 20))

void identity_boot_id(uint8_t boot[16])
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	XXH128_hash_t hash;

	if (fd >= 0)
		(void)close(fd);
	memset(boot, 0, 16);
	if (n <= 0)
		return;
	hash = XXH3_128bits(text, (size_t)n);
	memcpy(boot, &hash, 16);
}

struct restore {
	const struct identity_log_options *options;
	struct identity_progress *progress;
	struct identity_restored *out;
	struct identity_time now;
	bool same_boot; /* as the segment at hand */
	int64_t newest_ms;
};

/* By the monotonic clock where that is the same one, else by the wall clock: a mark of the future is as old as now. */
static int64_t age_ms(const struct restore *r, const struct identity_time *time)
{
	int64_t now = r->same_boot ? r->now.mono_ms : r->now.wall_ms;
	int64_t then = r->same_boot ? time->mono_ms : time->wall_ms;

	return then < now ? now - then : 0;
}

static void mark(
    struct restore *r, const struct identity_stream *stream, const struct identity_block *block, int64_t age)
{
	const uint8_t *keys = block->payload; /* at a multiple of 8 from the start of the buffer */
	uint64_t key[2];

	for (uint32_t i = 0; i < block->count + AHEAD; i++) {
		if (i < block->count) {
			memcpy(key, keys + (size_t)i * sizeof(key), sizeof(key));
			dedup_prefetch(stream->dedup, key);
		}
		if (i < AHEAD)
			continue;
		memcpy(key, keys + (size_t)(i - AHEAD) * sizeof(key), sizeof(key));
		r->out->marks += dedup_restore(stream->dedup, key, age, r->now.mono_ms, &r->out->evicted);
	}
}

static void take_marks(struct restore *r, const struct identity_block *block)
{
	int64_t age = age_ms(r, &block->time);

	if (r->now.mono_ms - age > r->newest_ms)
		r->newest_ms = r->now.mono_ms - age;
	for (uint32_t s = 0; s < r->options->n_streams; s++) {
		const struct identity_stream *stream = &r->options->streams[s];

		if (stream->id != block->stream_id || stream->dedup == NULL)
			continue;
		if (age >= stream->window_ms)
			r->out->expired += block->count;
		else
			mark(r, stream, block, age);
		return;
	}
	r->out->unknown += block->count;
}

static int take_checkpoint(struct restore *r, const struct identity_block *block)
{
	char *text = strndup(block->payload, block->count);

	if (text == NULL)
		return -ENOMEM;
	free(r->out->checkpoint);
	r->out->checkpoint = text;
	return 0;
}

static int scan(struct restore *r, const uint8_t *data, size_t len)
{
	struct identity_scan scan = {
	    .data = data, .len = len, .at = IDENTITY_HEADER_BYTES, .good = IDENTITY_HEADER_BYTES};
	uint64_t before = atomic_load_explicit(&r->progress->bytes, memory_order_relaxed);
	struct identity_block block;
	int ret = 0;

	while (ret == 0 && identity_scan_next(&scan, &block)) {
		if (block.type == IDENTITY_BLOCK_MARKS)
			take_marks(r, &block);
		else
			ret = take_checkpoint(r, &block);
		atomic_store_explicit(&r->progress->bytes, before + scan.at, memory_order_relaxed);
		atomic_store_explicit(&r->progress->marks, r->out->marks, memory_order_relaxed);
	}
	r->out->damaged += scan.damaged;
	r->out->torn += len - scan.good;
	atomic_store_explicit(&r->progress->bytes, before + len, memory_order_relaxed);
	return ret;
}

/* A file that is not read counts for the progress all the same. */
static void step_over(struct restore *r, uint64_t bytes)
{
	atomic_fetch_add_explicit(&r->progress->bytes, bytes, memory_order_relaxed);
}

static void refuse(struct restore *r, const char *path, const char *why)
{
	r->out->refused++;
	(void)snprintf(r->out->refusal, sizeof(r->out->refusal), "%.180s: %.60s", path, why);
}

/* The whole file in memory of our own: an error while reading is an errno, not a signal. NULL: errno says why. */
static uint8_t *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *data = NULL;
	struct stat status;
	size_t got = 0;
	int saved;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) != 0)
		goto out;
	if ((uint64_t)status.st_size > SEGMENT_MAX_BYTES) {
		errno = EFBIG;
		goto out;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	data = malloc((size_t)status.st_size + 1);
	while (data != NULL && got < (size_t)status.st_size) {
		ssize_t n = read(fd, data + got, (size_t)status.st_size - got);

		if (n < 0 && errno != EINTR) {
			saved = errno;
			free(data);
			data = NULL;
			errno = saved;
		} else if (n == 0) {
			break;
		} else if (n > 0) {
			got += (size_t)n;
		}
	}
	*len = got;
out:
	saved = errno;
	(void)close(fd);
	errno = saved;
	return data;
}

static int read_segment(struct restore *r, struct identity_segments *segments,
    struct identity_segment *segment, const uint8_t boot[16])
{
	struct identity_header header;
	enum identity_verdict verdict;
	char path[IDENTITY_PATH_BYTES];
	uint8_t *data;
	size_t len = 0;
	int ret = 0;

	identity_segment_path(segments, segment->sequence, path);
	segment->newest_ms = r->now.mono_ms; /* until we know better */
	data = read_file(path, &len);
	if (data == NULL) {
		if (errno == ENOMEM)
			return -ENOMEM;
		segment->keep = true;
		step_over(r, segment->bytes);
		refuse(r, path, strerror(errno));
		return 0;
	}
	verdict = identity_header_read(data, len, identity_secret_id(r->options->secret), &header);
	if (verdict == IDENTITY_OK) {
		r->same_boot = memcmp(header.boot, boot, 16) == 0;
		r->newest_ms = INT64_MIN;
		r->out->segments++;
		r->out->bytes += len;
		ret = scan(r, data, len);
		segment->newest_ms = r->newest_ms;
	} else {
		/* Ours, but of no use: may go at once. The others are somebody's. */
		segment->keep = verdict == IDENTITY_FOREIGN || verdict == IDENTITY_NEWER;
		segment->newest_ms = INT64_MIN;
		step_over(r, segment->bytes);
		if (verdict != IDENTITY_EMPTY)
			refuse(r, path, identity_verdict_text(verdict));
	}
	free(data);
	return ret;
}

int identity_restore(struct identity_segments *segments, const struct identity_log_options *options,
    const uint8_t boot[16], struct identity_progress *progress, struct identity_restored *out,
    struct error *err)
{
	struct restore r = {
	    .options = options,
	    .progress = progress,
	    .out = out,
	    .now = {clock_wall_ms(options->clock), (int64_t)(clock_mono_ns(options->clock) / 1000000)},
	};
	int ret = 0;

	memset(out, 0, sizeof(*out));
	out->empty = segments->n == 0;
	atomic_store(&progress->total_bytes, segments->bytes);
	for (uint32_t i = 0; ret == 0 && i < segments->n; i++)
		ret = read_segment(&r, segments, &segments->list[i], boot);
	if (ret != 0) {
		free(out->checkpoint);
		out->checkpoint = NULL;
		return error_set(err, ret, "%s: %s", segments->directory, strerror(-ret));
	}
	return 0;
}
