/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads any bytes as a dimension snapshot, as they are and with the checksums put right: every lookup in what
 * was accepted stays inside it, and finds every row under its own key.
 */
#include "dimension.h"
#include "../dim_image.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

bool fuzz_report(uint64_t inputs);

/* What became of the inputs as they were, and of those whose checksums could be put right. */
static struct {
	uint64_t accepted, refused;
} counts[2];

static void give_up(const char *what)
{
	(void)fprintf(stderr, "fuzz_dimension: %s\n", what);
	abort();
}

/* A row that has a twin by key may be answered by the twin's JSON; any other has to be answered by its own.
 */
static void look_up_all(const struct dimension *dimension)
{
	uint64_t offset = 0, n = 0, sum = 0;

	while (offset < dimension->rows_bytes) {
		const struct dimension_row *row = (const struct dimension_row *)(dimension->rows + offset);
		uint32_t len = 0;
		const char *json;

		if (row->key_len == 0 && row->json_len == 0) {
			offset += 8;
			continue;
		}
		json = dimension_find(dimension, row->bytes, row->key_len, &len);
		if (json == NULL || len > dimension->max_row_bytes)
			give_up("a row is not found");
		for (uint32_t i = 0; i < len; i++)
			sum += (uint8_t)json[i];
		offset += (sizeof(*row) + row->key_len + row->json_len + 7) & ~UINT64_C(7);
		n++;
	}
	if (n != dimension->n_rows || (n > 0 && sum == 0))
		give_up("the rows are not those that were counted");
}

static void load(const uint8_t *data, size_t size, bool sealed)
{
	struct dimension *dimension;
	struct error err = {""};
	char path[64];
	int fd = memfd_create("dimension", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		give_up("no file in memory");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (dimension_load(path, -1, HUGEPAGES_OFF, &dimension, &err) == 0) {
		look_up_all(dimension);
		counts[sealed].accepted++;
	} else {
		/* The place is the file, the cause is what follows. */
		if (dimension != NULL || strncmp(err.text, path, strlen(path)) != 0 ||
		    strlen(err.text) <= strlen(path) + 2)
			give_up("a refusal without a reason");
		counts[sealed].refused++;
	}
	dimension_free(dimension);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dim_image image = {0};
	uint8_t *copy;

	load(data, size, false);
	if (size < sizeof(struct dimension_preamble))
		return 0;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	if (dim_image_open(&image, copy, size)) {
		(void)dim_image_seal(&image);
		dimension_header_free(&image.header);
		load(copy, size, true);
	}
	free(copy);
	return 0;
}

bool fuzz_report(uint64_t inputs)
{
	(void)printf("snapshots: %llu, accepted %llu, refused %llu; with right checksums accepted %llu, "
	             "refused %llu\n",
	    (unsigned long long)inputs, (unsigned long long)counts[0].accepted,
	    (unsigned long long)counts[0].refused, (unsigned long long)counts[1].accepted,
	    (unsigned long long)counts[1].refused);
	return counts[0].accepted + counts[0].refused == inputs && counts[0].refused > 0 &&
	       counts[1].accepted > 0 && counts[1].refused > 0;
}
