/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To be preloaded: counts every call of the allocator, from whichever library, and passes it on. A program
 * reads the count with allocation_count(). Not for programs that allocate from several threads at once while
 * they count.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The next definition of the function that this stands in for, found at its first call. */
#define FUNCTION(name)                                 \
	static __typeof__(&name) next;                 \
	if (next == NULL) {                            \
		void *found = dlsym(RTLD_NEXT, #name); \
		memcpy(&next, &found, sizeof(next));   \
	}                                              \
	count++

static uint64_t count;

uint64_t allocation_count(void);

uint64_t allocation_count(void)
{
	return count;
}

void *malloc(size_t size)
{
	FUNCTION(malloc);
	return next(size);
}

void *calloc(size_t n, size_t size)
{
	FUNCTION(calloc);
	return next(n, size);
}

void *realloc(void *old, size_t size)
{
	FUNCTION(realloc);
	return next(old, size);
}

void free(void *memory)
{
	FUNCTION(free);
	next(memory);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	FUNCTION(posix_memalign);
	return next(out, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	FUNCTION(aligned_alloc);
	return next(alignment, size);
}
