/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For LD_PRELOAD: a wall clock that a test can step while the program runs. The file named by WALL_CLOCK holds the
 * offset, in nanoseconds, as 8 bytes in the machine's order; it is mapped, so a write to it takes effect at once. Other
 * clocks are left alone. (libfaketime does not get along with jemalloc, which asks for the time while it starts.)
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000

static _Atomic(const _Atomic int64_t *) offset; /* NULL: none */

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("WALL_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		offset = map;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	const _Atomic int64_t *by = offset;
	int64_t ns;

	if (syscall(SYS_clock_gettime, clock, out) != 0)
		return -1;
	if (by == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return 0;
	ns = (int64_t)out->tv_sec * SECOND_NS + out->tv_nsec + *by;
	out->tv_sec = ns / SECOND_NS;
	out->tv_nsec = ns % SECOND_NS;
	return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
