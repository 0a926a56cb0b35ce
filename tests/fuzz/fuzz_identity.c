/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads any bytes as an identity segment: every block that is found lies inside, its parts add up to what was read, and
 * written again it is the same bytes. Then as a checkpoint's text.
 */
#include "identity_file.h"
#include "kafka_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool fuzz_report(uint64_t inputs);

static struct {
	uint64_t headers, blocks, damaged, checkpoints;
} counts;

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "fuzz_identity: %s\n", what);
	abort();
}

static void read_checkpoint(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), cluster[256];
	struct kafka_checkpoint_entry entry;
	const char *at;
	bool clean;

	require(text != NULL, "no memory");
	at = kafka_checkpoint_head(text, cluster, &clean);
	counts.checkpoints += at != NULL;
	while (at != NULL && kafka_checkpoint_next(&at, &entry))
		require(strlen(entry.topic) < sizeof(entry.topic) && at <= text + strlen(text),
		    "an entry outside");
	free(text);
}

static void check_block(const struct identity_scan *scan, const struct identity_block *block)
{
	size_t len = identity_block_size((enum identity_block_type)block->type, block->count);
	uint8_t *copy = malloc(len);

	require(copy != NULL, "no memory");
	require(scan->at <= scan->len && scan->good == scan->at && len <= scan->at, "a block outside");
	require(identity_block_write(block, copy) == len, "another length");
	if (block->type == IDENTITY_BLOCK_MARKS)
		require(memcmp(copy, scan->data + scan->at - len, len) == 0, "another block");
	else
		read_checkpoint(block->payload, block->count);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct identity_scan scan = {
	    .data = data, .len = size, .at = IDENTITY_HEADER_BYTES, .good = IDENTITY_HEADER_BYTES};
	struct identity_header header;
	struct identity_block block;
	uint64_t bytes = IDENTITY_HEADER_BYTES;

	counts.headers += identity_header_read(data, size, 42, &header) == IDENTITY_OK;
	read_checkpoint(data, size);
	if (size < IDENTITY_HEADER_BYTES)
		return 0;
	while (identity_scan_next(&scan, &block)) {
		check_block(&scan, &block);
		bytes += identity_block_size((enum identity_block_type)block.type, block.count);
	}
	require(bytes + scan.damaged == scan.good && scan.good <= size,
	    "bytes that are neither read nor skipped");
	counts.blocks += scan.n_blocks;
	counts.damaged += scan.damaged > 0;
	return 0;
}

bool fuzz_report(uint64_t inputs)
{
	(void)printf(
	    "segments: %llu, whole headers %llu, blocks %llu, with damage inside %llu; checkpoints %llu\n",
	    (unsigned long long)inputs, (unsigned long long)counts.headers, (unsigned long long)counts.blocks,
	    (unsigned long long)counts.damaged, (unsigned long long)counts.checkpoints);
	return counts.headers > 0 && counts.blocks > 0 && counts.damaged > 0 && counts.checkpoints > 0;
}
