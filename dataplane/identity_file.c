/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_file.h"

#include <string.h>
#include <xxhash.h>

#define SEGMENT_MAGIC "PNSKIDS" /* and the NUL */
#define BLOCK_MAGIC 0x424b4449u /* "IDKB" */
#define ALIGN 8u

/* As on disk; x86 is little-endian. */
struct disk_header {
	char magic[8];
	uint32_t version, header_bytes;
	uint64_t secret_id, sequence;
	uint8_t boot[16];
	uint64_t reserved;
	uint64_t checksum; /* of what is before it */
};
_Static_assert(sizeof(struct disk_header) == IDENTITY_HEADER_BYTES, "no padding");

struct disk_block {
	uint32_t magic;
	uint16_t type, reserved;
	uint64_t stream_id;
	int64_t wall_ms, mono_ms;
	uint32_t count;
	uint32_t bytes;    /* of the payload, a multiple of 8 */
	uint64_t checksum; /* of what is before it, and the payload */
};
_Static_assert(sizeof(struct disk_block) == IDENTITY_BLOCK_BYTES, "no padding");

const char *identity_verdict_text(enum identity_verdict verdict)
{
	switch (verdict) {
	case IDENTITY_OK:
		return "whole";
	case IDENTITY_EMPTY:
		return "empty";
	case IDENTITY_FOREIGN:
		return "not an identity segment";
	case IDENTITY_NEWER:
		return "of another version";
	case IDENTITY_DAMAGED:
		return "its header is damaged";
	case IDENTITY_UNRELATED:
		return "written with another secret";
	}
	return "?";
}

uint64_t identity_stream_id(const char *stream, const char *identity)
{
	/* A name has no NUL, so the parts cannot run into each other. */
	XXH64_hash_t name = XXH3_64bits(stream, strlen(stream) + 1);

	if (identity == NULL)
		return XXH3_64bits_withSeed("", 0, name);
	return XXH3_64bits_withSeed(identity, strlen(identity) + 1, name);
}

void identity_header_write(const struct identity_header *header, void *to)
{
	struct disk_header disk = {
	    .magic = SEGMENT_MAGIC,
	    .version = IDENTITY_VERSION,
	    .header_bytes = IDENTITY_HEADER_BYTES,
	    .secret_id = header->secret_id,
	    .sequence = header->sequence,
	};

	memcpy(disk.boot, header->boot, sizeof(disk.boot));
	disk.checksum = XXH3_64bits(&disk, offsetof(struct disk_header, checksum));
	memcpy(to, &disk, sizeof(disk));
}

enum identity_verdict identity_header_read(
    const void *data, size_t len, uint64_t secret_id, struct identity_header *out)
{
	struct disk_header disk;
	size_t magic = len < sizeof(disk.magic) ? len : sizeof(disk.magic);

	if (memcmp(data, SEGMENT_MAGIC, magic) != 0)
		return IDENTITY_FOREIGN;
	if (len < sizeof(disk))
		return IDENTITY_EMPTY;
	memcpy(&disk, data, sizeof(disk));
	if (disk.version != IDENTITY_VERSION)
		return IDENTITY_NEWER;
	if (disk.checksum != XXH3_64bits(&disk, offsetof(struct disk_header, checksum)) ||
	    disk.header_bytes != IDENTITY_HEADER_BYTES)
		return IDENTITY_DAMAGED;
	if (disk.secret_id != secret_id)
		return IDENTITY_UNRELATED;
	*out = (struct identity_header){.secret_id = disk.secret_id, .sequence = disk.sequence};
	memcpy(out->boot, disk.boot, sizeof(out->boot));
	return IDENTITY_OK;
}

static size_t payload_bytes(enum identity_block_type type, uint32_t count)
{
	if (type == IDENTITY_BLOCK_MARKS)
		return (size_t)count * IDENTITY_KEY_BYTES;
	return ((size_t)count + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

size_t identity_block_size(enum identity_block_type type, uint32_t count)
{
	return IDENTITY_BLOCK_BYTES + payload_bytes(type, count);
}

static uint64_t checksum(const struct disk_block *head, const void *payload)
{
	return XXH3_64bits_withSeed(
	    payload, head->bytes, XXH3_64bits(head, offsetof(struct disk_block, checksum)));
}

size_t identity_block_write(const struct identity_block *block, void *to)
{
	struct disk_block head = {
	    .magic = BLOCK_MAGIC,
	    .type = block->type,
	    .stream_id = block->stream_id,
	    .wall_ms = block->time.wall_ms,
	    .mono_ms = block->time.mono_ms,
	    .count = block->count,
	    .bytes = (uint32_t)payload_bytes((enum identity_block_type)block->type, block->count),
	};
	size_t len = block->type == IDENTITY_BLOCK_MARKS ? head.bytes : block->count;
	uint8_t *payload = (uint8_t *)to + sizeof(head);

	memcpy(payload, block->payload, len);
	memset(payload + len, 0, head.bytes - len);
	head.checksum = checksum(&head, payload);
	memcpy(to, &head, sizeof(head));
	return sizeof(head) + head.bytes;
}

/* Whether a whole block begins at `at`. */
static bool read_block(const uint8_t *at, size_t len, struct identity_block *out, size_t *size)
{
	struct disk_block head;
	uint32_t most;

	if (len < sizeof(head))
		return false;
	memcpy(&head, at, sizeof(head));
	if (head.magic != BLOCK_MAGIC ||
	    (head.type != IDENTITY_BLOCK_MARKS && head.type != IDENTITY_BLOCK_CHECKPOINT))
		return false;
	most = head.type == IDENTITY_BLOCK_MARKS ? IDENTITY_BLOCK_KEYS : IDENTITY_CHECKPOINT_BYTES;
	if (head.count > most ||
	    head.bytes != payload_bytes((enum identity_block_type)head.type, head.count) ||
	    len - sizeof(head) < head.bytes || head.checksum != checksum(&head, at + sizeof(head)))
		return false;
	*out = (struct identity_block){
	    .type = head.type,
	    .stream_id = head.stream_id,
	    .time = {head.wall_ms, head.mono_ms},
	    .payload = at + sizeof(head),
	    .count = head.count,
	};
	*size = sizeof(head) + head.bytes;
	return true;
}

bool identity_scan_next(struct identity_scan *scan, struct identity_block *out)
{
	while (scan->at + IDENTITY_BLOCK_BYTES <= scan->len) {
		size_t size;

		if (read_block(scan->data + scan->at, scan->len - scan->at, out, &size)) {
			scan->damaged += scan->at - scan->good;
			scan->at += size;
			scan->good = scan->at;
			scan->n_blocks++;
			return true;
		}
		scan->at += ALIGN;
	}
	return false;
}
