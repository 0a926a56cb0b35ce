/* SPDX-License-Identifier: BSD-3-Clause */
#include "hugemem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define HUGEPAGE ((size_t)2 << 20)

/* Every page is resident and every byte zero; then every byte can be written. */
static void assert_usable(const struct hugemem *mem)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = mem->bytes / page;
	unsigned char resident[1024];
	char *bytes = mem->address;

	assert_int_equal(mem->bytes % page, 0);
	assert_int_equal((uintptr_t)mem->address % (mem->huge ? HUGEPAGE : page), 0);
	for (size_t first = 0; first < pages; first += sizeof(resident)) {
		size_t n = pages - first < sizeof(resident) ? pages - first : sizeof(resident);

		assert_int_equal(mincore(bytes + first * page, n * page, resident), 0);
		for (size_t i = 0; i < n; i++)
			assert_true(resident[i] & 1);
	}
	for (size_t i = 0; i < mem->bytes; i += 512)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 0xff, mem->bytes);
}

static void every_size_is_mapped_whole(void **state)
{
	const size_t sizes[] = {1, 4096, 4097, HUGEPAGE - 1, HUGEPAGE, HUGEPAGE + 1, 5 * HUGEPAGE + 12345};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct hugemem mem;
		struct error err;

		assert_int_equal(hugemem_alloc(sizes[i], -1, HUGEPAGES_OFF, &mem, &err), 0);
		assert_false(mem.huge);
		assert_true(mem.bytes >= sizes[i] && mem.bytes - sizes[i] < 4096);
		if (sizes[i] >= HUGEPAGE)
			assert_int_equal((uintptr_t)mem.address % HUGEPAGE, 0);
		assert_usable(&mem);
		hugemem_free(&mem);
		assert_null(mem.address);

		assert_int_equal(hugemem_alloc(sizes[i], 0, HUGEPAGES_AUTO, &mem, &err), 0);
		assert_true(mem.bytes >= sizes[i]);
		assert_usable(&mem);
		hugemem_free(&mem);
	}
}

static long free_hugepages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	long count = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld", &count) != 1)
		count = 0;
	(void)fclose(file);
	return count;
}

/* Asks for more pages than any machine has free. */
static void required_says_what_is_missing(void **state)
{
	size_t bytes = ((size_t)free_hugepages() + (1 << 20)) * HUGEPAGE;
	struct hugemem mem;
	struct error err;

	(void)state;
	assert_int_equal(hugemem_alloc(bytes, -1, HUGEPAGES_REQUIRED, &mem, &err), -ENOMEM);
	assert_null(mem.address);
	assert_non_null(strstr(err.text, "hugepages of 2 MB are needed"));
	if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0) {
		assert_non_null(strstr(err.text, "are missing"));
		assert_non_null(strstr(err.text, "vm.nr_hugepages="));
	}
}

/* Where the machine has hugepages they are what is given; other programs may take them first. */
static void required_gives_hugepages(void **state)
{
	struct hugemem mem;
	struct error err;

	(void)state;
	if (hugemem_alloc(HUGEPAGE + 1, -1, HUGEPAGES_REQUIRED, &mem, &err) != 0) {
		assert_non_null(strstr(err.text, "hugepages of 2 MB are"));
		skip();
	}
	assert_true(mem.huge);
	assert_int_equal(mem.bytes, 2 * HUGEPAGE);
	assert_usable(&mem);
	hugemem_free(&mem);
}

static void impossible_requests_are_refused(void **state)
{
	struct hugemem mem;
	struct error err;

	(void)state;
	assert_int_equal(hugemem_alloc(0, -1, HUGEPAGES_AUTO, &mem, &err), -EINVAL);
	assert_int_equal(hugemem_alloc(SIZE_MAX, -1, HUGEPAGES_AUTO, &mem, &err), -ENOMEM);
	assert_int_equal(hugemem_alloc(SIZE_MAX / 4, -1, HUGEPAGES_OFF, &mem, &err), -ENOMEM);
	assert_null(mem.address);
}

static void nothing_to_free_is_fine(void **state)
{
	struct hugemem mem = {0};

	(void)state;
	hugemem_free(NULL);
	hugemem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_size_is_mapped_whole),
	    cmocka_unit_test(required_says_what_is_missing),
	    cmocka_unit_test(required_gives_hugepages),
	    cmocka_unit_test(impossible_requests_are_refused),
	    cmocka_unit_test(nothing_to_free_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
