/* SPDX-License-Identifier: BSD-3-Clause */
#include "dim_files.h"
#include "../dim_image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void build_rows(struct dim_files *files, unsigned int n)
{
	struct dim_build_options options = {.version = "v1", .name = "products"};
	struct error err = {""};
	size_t size = 64 + (size_t)n * 96, used = 0;
	char *text = malloc(size);

	used += (size_t)snprintf(text, size, "id,name,price:number\n");
	for (unsigned int i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, size - used, "prod-%u,%.*s,%u.50\n", i, (int)(i % 40),
		    "a name that is longer in some than in others", i);
	(void)build_text(files, "rows.csv", text, used, &options, &err);
	assert_string_equal(err.text, "");
	free(text);
}

static void row_text(unsigned int i, char out[128])
{
	(void)snprintf(out, 128, "{\"name\":\"%.*s\",\"price\":%u.50}", (int)(i % 40),
	    "a name that is longer in some than in others", i);
}

static void every_row_is_found(void **state)
{
	struct dimension *dimension;
	char key[32], row[128];

	build_rows(*state, 20000);
	dimension = load_built(*state);
	assert_int_equal(dimension->n_rows, 20000);
	assert_string_equal(dimension->name, "products");
	assert_string_equal(dimension->version, "v1");
	assert_int_equal(dimension->built_ms, BUILT_MS);
	assert_int_equal((uintptr_t)dimension->buckets % 64, 0);
	assert_int_equal((uintptr_t)dimension->rows % 64, 0);
	for (unsigned int i = 0; i < 20000; i++) {
		(void)snprintf(key, sizeof(key), "prod-%u", i);
		row_text(i, row);
		assert_in_range(strlen(row), 2, dimension->max_row_bytes);
		expect_row(dimension, key, row);
		(void)snprintf(key, sizeof(key), "prod-%u", i + 20000);
		expect_row(dimension, key, NULL);
	}
	expect_row(dimension, "", NULL);
	expect_row(dimension, "prod-1 ", NULL);
	dimension_free(dimension);
	dimension_free(NULL);
}

static void bursts_agree_with_single_lookups(void **state)
{
	struct dimension *dimension;
	uint64_t hash[64];
	uint32_t ref[64];
	char key[64][32];
	unsigned int hits = 0;

	build_rows(*state, 3000);
	dimension = load_built(*state);
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < 64; i++) {
			(void)snprintf(key[i], sizeof(key[i]), "prod-%u", (round * 64 + i) * 7 % 6000);
			hash[i] = dimension_hash(dimension, key[i], (uint32_t)strlen(key[i]));
			dimension_prefetch(dimension, hash[i]);
		}
		for (unsigned int i = 0; i < 64; i++)
			ref[i] = dimension_probe(dimension, hash[i]);
		for (unsigned int i = 0; i < 64; i++) {
			uint32_t len = (uint32_t)strlen(key[i]), a_len = 0, b_len = 0;
			const char *a = dimension_row(dimension, hash[i], ref[i], key[i], len, &a_len);
			const char *b = dimension_find(dimension, key[i], len, &b_len);

			assert_ptr_equal(a, b);
			assert_int_equal(a_len, b_len);
			hits += a != NULL;
		}
	}
	assert_in_range(hits, 2000, 4500);
	dimension_free(dimension);
}

/* Two rows with one tag: the probe can name the wrong one, and the row is found all the same. */
static void tags_that_collide(void **state)
{
	const char text[] = "id,v\naaaa,1\nbbbb,2\n";
	struct dim_build_options options = {0};
	struct dimension_bucket bucket = {0};
	struct dimension *dimension, copy;
	uint32_t len = 0, ref_a, ref_b;
	uint64_t hash;
	struct error err = {""};

	(void)build_text(*state, "rows.csv", text, strlen(text), &options, &err);
	dimension = load_built(*state);
	ref_a = dimension_probe(dimension, dimension_hash(dimension, "aaaa", 4));
	hash = dimension_hash(dimension, "bbbb", 4);
	ref_b = dimension_probe(dimension, hash);
	bucket.entry[0] = (struct dimension_entry){dimension_tag(hash), ref_a};
	bucket.entry[1] = (struct dimension_entry){dimension_tag(hash), ref_b};
	copy = *dimension;
	copy.buckets = &bucket;
	copy.n_buckets = 1;
	assert_int_equal(dimension_probe(&copy, hash), ref_a);
	assert_memory_equal(dimension_find(&copy, "bbbb", 4, &len), "{\"v\":\"2\"}", 9);
	dimension_free(dimension);
}

static void keys_of_every_length(void **state)
{
	struct dim_build_options options = {0};
	struct dimension *dimension;
	struct error err = {""};
	static char text[1 << 20];
	char key[DIMENSION_MAX_KEY + 1] = "";
	size_t used;

	used = (size_t)sprintf(text, "id,n:integer\n");
	memset(key, 'k', DIMENSION_MAX_KEY);
	for (unsigned int n = 1; n <= DIMENSION_MAX_KEY; n++)
		used += (size_t)sprintf(text + used, "%.*s,%u\n", (int)n, key, n);
	(void)build_text(*state, "rows.csv", text, used, &options, &err);
	assert_string_equal(err.text, "");
	dimension = load_built(*state);
	for (uint32_t n = 1; n <= DIMENSION_MAX_KEY; n++) {
		uint32_t len = 0;
		const char *json = dimension_find(dimension, key, n, &len);

		(void)sprintf(text, "{\"n\":%u}", n);
		assert_int_equal(len, strlen(text));
		assert_memory_equal(json, text, len);
		key[n - 1] = 'x'; /* differs in its last byte only */
		assert_null(dimension_find(dimension, key, n, &len));
		key[n - 1] = 'k';
	}
	dimension_free(dimension);
}

static void no_rows_at_all(void **state)
{
	struct dim_build_options options = {0};
	struct dimension *dimension;
	struct error err = {""};

	(void)build_text(*state, "rows.csv", "id,a\n", 5, &options, &err);
	assert_string_equal(err.text, "");
	dimension = load_built(*state);
	assert_int_equal(dimension->n_rows, 0);
	expect_row(dimension, "anything", NULL);
	dimension_free(dimension);
}

/*
 * Damage.
 */
static void read_image(struct dim_files *files, struct dim_image *image)
{
	uint8_t *bytes;
	size_t len;

	bytes = read_file(file_path(files, "t.dim"), &len);
	assert_true(dim_image_open(image, bytes, len));
}

static void free_image(struct dim_image *image)
{
	dimension_header_free(&image->header);
	free(image->bytes);
}

static struct dimension_section *section(struct dim_image *image, uint16_t kind)
{
	for (size_t i = 0; i < image->header.n_sections; i++)
		if (image->header.sections[i].kind == kind)
			return &image->header.sections[i];
	return NULL;
}

/* From a file in memory: tens of thousands of them would keep a disk busy. */
static int load_bytes(const void *bytes, size_t len, struct dimension **out, struct error *err)
{
	int fd = memfd_create("damaged", MFD_CLOEXEC), rc;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = dimension_load(path, -1, HUGEPAGES_OFF, out, err);
	(void)close(fd);
	return rc;
}

static void expect_refused(const struct dim_image *image, int code, const char *reason)
{
	struct dimension *dimension;
	struct error err = {""};

	assert_int_equal(load_bytes(image->bytes, image->len, &dimension, &err), code);
	assert_null(dimension);
	if (strstr(err.text, reason) == NULL || strstr(err.text, "/proc/self/fd/") == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

/* What a loaded file answers must lie inside it, whatever it answers. */
static void look_around(const struct dimension *dimension)
{
	char key[32];

	for (unsigned int i = 0; i < 60; i++) {
		uint32_t len = 0;
		const char *json;
		size_t sum = 0;

		(void)snprintf(key, sizeof(key), "prod-%u", i);
		json = dimension_find(dimension, key, (uint32_t)strlen(key), &len);
		for (uint32_t j = 0; json != NULL && j < len; j++)
			sum += (uint8_t)json[j];
		assert_true(json == NULL || sum >= '{' + '}');
		assert_in_range(len, 0, dimension->max_row_bytes);
	}
}

static void any_changed_byte_is_refused(void **state)
{
	struct dimension *dimension;
	struct dim_image image;
	struct error err;

	build_rows(*state, 40);
	read_image(*state, &image);
	for (size_t i = 0; i < image.len; i++) {
		int rc;

		image.bytes[i] ^= (uint8_t)(1u << i % 8);
		rc = load_bytes(image.bytes, image.len, &dimension, &err);
		assert_true(rc == -EBADMSG || rc == -EPROTONOSUPPORT);
		assert_null(dimension);
		image.bytes[i] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(load_bytes(image.bytes, image.len, &dimension, &err), 0);
	dimension_free(dimension);
	free_image(&image);
}

static void any_other_length_is_refused(void **state)
{
	struct dimension *dimension;
	struct dim_image image;
	struct error err;

	build_rows(*state, 20);
	read_image(*state, &image);
	for (size_t len = 0; len < image.len; len++)
		assert_int_equal(load_bytes(image.bytes, len, &dimension, &err), -EBADMSG);
	image.bytes = realloc(image.bytes, image.len + 64);
	memset(image.bytes + image.len, 0, 64);
	assert_int_equal(load_bytes(image.bytes, image.len + 1, &dimension, &err), -EBADMSG);
	assert_int_equal(load_bytes(image.bytes, image.len + 64, &dimension, &err), -EBADMSG);
	free_image(&image);
}

static void what_is_no_snapshot(void **state)
{
	struct dim_files *files = *state;
	struct dimension *dimension;
	struct error err;
	const char *fifo = file_path(files, "fifo");
	int rc;

	rc = dimension_load(file_path(files, "missing.dim"), -1, HUGEPAGES_OFF, &dimension, &err);
	assert_int_equal(rc, -ENOENT);
	assert_non_null(strstr(err.text, "missing.dim: No such file"));
	assert_int_equal(dimension_load(files->directory, -1, HUGEPAGES_OFF, &dimension, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(dimension_load(fifo, -1, HUGEPAGES_OFF, &dimension, &err), -EBADMSG);
	rc = load_bytes("id,name\n1,a long enough line of CSV\n", 36, &dimension, &err);
	assert_int_equal(rc, -EBADMSG);
	assert_non_null(strstr(err.text, "not a dimension snapshot"));
}

static void impossible_headers(void **state)
{
	struct dim_files *files = *state;
	struct dimension_header good;
	struct dim_image image;

	build_rows(files, 40);
	read_image(files, &image);

	image.preamble->format_version = 2;
	expect_refused(&image, -EPROTONOSUPPORT, "format version 2");
	image.preamble->format_version = DIMENSION_FORMAT_VERSION;
	image.preamble->header_bytes = UINT32_MAX;
	expect_refused(&image, -EBADMSG, "header of 4294967295 bytes");
	image.preamble->header_bytes = DIMENSION_HEADER_MAX_BYTES;
	expect_refused(&image, -EBADMSG, "truncated");
	free_image(&image);
	read_image(files, &image);
	good = image.header;

#define REFUSED(change, reason)                           \
	do {                                              \
		change;                                   \
		assert_true(dim_image_seal(&image));      \
		expect_refused(&image, -EBADMSG, reason); \
		image.header = good;                      \
	} while (0)
	REFUSED(section(&image, DIMENSION_SECTION_ROWS)->offset += 8, "not a multiple of 64");
	REFUSED(section(&image, DIMENSION_SECTION_ROWS)->length = UINT64_MAX - 8, "does not fit");
	REFUSED(section(&image, DIMENSION_SECTION_ROWS)->offset = UINT64_MAX - 63, "does not fit");
	REFUSED(section(&image, DIMENSION_SECTION_BUCKETS)->offset = 0, "overlaps");
	REFUSED(section(&image, DIMENSION_SECTION_ROWS)->length += 64, "overlaps");
	REFUSED(section(&image, DIMENSION_SECTION_ROWS)->kind = DIMENSION_SECTION_BUCKETS,
	    "2 sections of buckets");
	REFUSED(section(&image, DIMENSION_SECTION_ROWS)->kind = 77, "0 sections of rows");
	REFUSED(image.header.n_buckets++, "buckets: ");
	REFUSED(image.header.n_buckets = 0, "buckets: ");
	REFUSED(image.header.n_rows = UINT64_MAX, "too few");
	REFUSED(image.header.n_rows++, "entries for");
	REFUSED(image.header.max_row_bytes++, "the longest has");
	REFUSED(image.header.seed++, "no bucket leads");
#undef REFUSED
	memcpy(image.header.version, "v\"", 2); /* would break the JSON that it is written into */
	assert_true(dim_image_seal(&image));
	expect_refused(&image, -EBADMSG, "version is not a valid name");
	image.header = good;
	free_image(&image);
}

static void impossible_sections(void **state)
{
	struct dim_files *files = *state;
	struct dimension_bucket *bucket;
	struct dimension_entry entry;
	struct dimension_row *row;
	struct dim_image image;

	build_rows(files, 40);
	read_image(files, &image);
	bucket =
	    (struct dimension_bucket *)(image.bytes + section(&image, DIMENSION_SECTION_BUCKETS)->offset);
	while (bucket->entry[0].ref == 0)
		bucket++;
	row = (struct dimension_row *)(image.bytes + section(&image, DIMENSION_SECTION_ROWS)->offset);
	entry = bucket->entry[0];

#define REFUSED(place, value, reason)                     \
	do {                                              \
		__typeof__(place) before = (place);       \
		(place) = (value);                        \
		assert_true(dim_image_seal(&image));      \
		expect_refused(&image, -EBADMSG, reason); \
		(place) = before;                         \
	} while (0)
	REFUSED(bucket->entry[0].ref, UINT32_MAX, "points behind the rows");
	REFUSED(bucket->entry[0].ref, entry.ref + 1, "no bucket leads");
	REFUSED(bucket->entry[0].tag, entry.tag ^ 1, "no bucket leads");
	REFUSED(bucket->entry[0].tag, 0, "without a tag");
	REFUSED(bucket->entry[0].ref, 0, "after an empty one");
	REFUSED(bucket->entry[7].tag, 5, "after an empty one");
	REFUSED(row->json_len, DIMENSION_MAX_ROW, "cut off");
	REFUSED(row->json_len, UINT32_MAX, "impossible lengths");
	REFUSED(row->json_len, row->json_len - 1, "not a compact JSON object");
	REFUSED(row->key_len, 0, "impossible lengths");
	REFUSED(row->key_len, DIMENSION_MAX_KEY + 1, "impossible lengths");
	REFUSED(row->key_len, row->key_len + 1, "not a compact JSON object");
	REFUSED(row->reserved, 1, "impossible lengths");
	REFUSED(row->bytes[0], 'q', "no bucket leads");
	REFUSED(row->bytes[row->key_len + 2], '\n', "not a compact JSON object");
#undef REFUSED
	assert_true(dim_image_seal(&image));
	free_image(&image);
}

/* Changes behind the checksums' back: 20,000 files whose checksums are right and whose content is not. */
static void mutations_with_right_checksums(void **state)
{
	unsigned int refused = 0;
	uint64_t random = 7;
	struct dim_image image;
	uint8_t *original;

	build_rows(*state, 40);
	read_image(*state, &image);
	original = malloc(image.len);
	memcpy(original, image.bytes, image.len);
	for (unsigned int round = 0; round < 20000; round++) {
		struct dimension *dimension;
		struct error err;
		size_t from = sizeof(*image.preamble), len = image.preamble->header_bytes;

		if (round % 2 == 1) {
			from += len;
			len = image.len - from;
		}
		for (unsigned int i = 0; i <= round % 3; i++) {
			random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			image.bytes[from + (random >> 33) % len] = (uint8_t)(random >> 20);
		}
		if (round % 2 == 1)
			assert_true(dim_image_seal(&image));
		else
			dim_image_seal_header(&image);
		if (load_bytes(image.bytes, image.len, &dimension, &err) == 0)
			look_around(dimension);
		else
			refused++;
		dimension_free(dimension);
		memcpy(image.bytes, original, image.len);
	}
	assert_in_range(refused, 10000, 19999);
	free(original);
	free_image(&image);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(every_row_is_found),
	    TEST(bursts_agree_with_single_lookups),
	    TEST(tags_that_collide),
	    TEST(keys_of_every_length),
	    TEST(no_rows_at_all),
	    TEST(any_changed_byte_is_refused),
	    TEST(any_other_length_is_refused),
	    TEST(what_is_no_snapshot),
	    TEST(impossible_headers),
	    TEST(impossible_sections),
	    TEST(mutations_with_right_checksums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
