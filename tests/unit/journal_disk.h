/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk in memory behind struct journal_io, for tests: what was written and not synced is kept apart, block by
 * block, so that a power cut can keep any part of it; operations fail on command; space is bounded. A failed
 * fdatasync forgets what it was to write and calls it clean, as Linux does.
 */
#ifndef PENSTOCK_TEST_JOURNAL_DISK_H
#define PENSTOCK_TEST_JOURNAL_DISK_H

#include "journal_io.h"

#include <stddef.h>
#include <stdint.h>

#define DISK_BLOCK 4096u
#define DISK_FILES 64u

enum disk_op { DISK_OPEN, DISK_READ, DISK_WRITE, DISK_SYNC, DISK_ALLOCATE, DISK_UNLINK, DISK_OPS };

struct disk_file {
	char name[40];  /* "": free */
	char *now;      /* what programs see */
	char *durable;  /* what is on the platters */
	uint8_t *dirty; /* per block */
	uint64_t size, durable_size;
	uint64_t room;     /* of both buffers */
	bool durable_name; /* the directory entry is on the platters */
	bool deleted;      /* unlinked, not yet durably */
};

struct disk {
	struct disk_file files[DISK_FILES];
	uint64_t space;     /* bytes that may be allocated */
	uint64_t ops;       /* changing ones, so far */
	uint64_t die_at;    /* from this changing operation on, everything fails with EIO; 0: never */
	int fail[DISK_OPS]; /* an errno for every such operation; 0: none */
	uint32_t fail_once[DISK_OPS]; /* the next so many only */
	size_t chunk;                 /* a read or write moves at most so much; 0: everything */
	bool locked;
};

void disk_init(struct disk *disk);
void disk_fini(struct disk *disk);

/* The function table; its release keeps the disk. */
struct journal_io disk_io(struct disk *disk);

/* Blocks that a power cut may keep or lose. */
uint32_t disk_dirty(const struct disk *disk);

/* The power goes. Of the dirty blocks, in the order of files and offsets, block i survives if bit i % 64 of
 * `keep` is set; a name that was not synced survives with bit 63. All descriptors are void, faults are gone. */
void disk_crash(struct disk *disk, uint64_t keep);

/* The process dies, the machine stays. */
void disk_kill(struct disk *disk);

struct disk_file *disk_find(struct disk *disk, const char *name);

/* A deep copy. */
void disk_copy(struct disk *to, const struct disk *from);

#endif
