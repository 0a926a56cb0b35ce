/* SPDX-License-Identifier: BSD-3-Clause */
/* A snapshot file in memory whose parts can be changed behind the checksums' back. */
#ifndef PENSTOCK_TEST_DIM_IMAGE_H
#define PENSTOCK_TEST_DIM_IMAGE_H

#include "dimension_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct dim_image {
	uint8_t *bytes;
	size_t len;
	struct dimension_preamble *preamble;
	struct dimension_header header;
};

static inline uint8_t *dim_image_header(const struct dim_image *image)
{
	return image->bytes + sizeof(*image->preamble);
}

/* Views the bytes of a file; false if they have no header that can be read. */
static inline bool dim_image_open(struct dim_image *image, uint8_t *bytes, size_t len)
{
	image->bytes = bytes;
	image->len = len;
	image->preamble = (struct dimension_preamble *)bytes;
	if (len < sizeof(*image->preamble) || image->preamble->header_bytes > len - sizeof(*image->preamble))
		return false;
	return dimension_header_decode(
	           dim_image_header(image), image->preamble->header_bytes, &image->header, NULL) == 0;
}

/* Makes the header's checksum right, whatever the header is. */
static inline void dim_image_seal_header(struct dim_image *image)
{
	image->preamble->header_xxh3 = XXH3_64bits(dim_image_header(image), image->preamble->header_bytes);
}

/* Puts image->header into the file and makes all checksums right; false if it does not have the old one's
 * length. */
static inline bool dim_image_seal(struct dim_image *image)
{
	uint8_t *encoded;
	size_t len;
	bool fits;

	for (size_t i = 0; i < image->header.n_sections; i++) {
		struct dimension_section *s = &image->header.sections[i];

		if (s->offset <= image->len && s->length <= image->len - s->offset)
			s->xxh3 = XXH3_64bits(image->bytes + s->offset, s->length);
	}
	if (dimension_header_encode(&image->header, &encoded, &len) != 0)
		return false;
	fits = len == image->preamble->header_bytes;
	if (fits)
		memcpy(dim_image_header(image), encoded, len);
	free(encoded);
	dim_image_seal_header(image);
	return fits;
}

#endif
