/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For builds with ThreadSanitizer: what it cannot see by itself.
 *
 * C11 threads by POSIX threads: librdkafka makes its threads with thrd_create(), which gcc's TSan does not
 * know; such a thread crashes in its first allocation, and locks would order nothing. glibc's types of the
 * two are the same underneath, so it is enough to give the functions other bodies in the test program.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

const char *__tsan_default_suppressions(void);

/* librdkafka: its reference counts are atomics in code that TSan does not see, so that what they guard seems
 * to be freed too early. RTS rings: they store position and count in one atomic of 8 bytes, and the other
 * side loads the upper 4. */
const char *__tsan_default_suppressions(void)
{
	return "race:librdkafka.so\nrace_top:__rte_ring_dequeue_elems_64\n";
}

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t) &&
                   sizeof(thrd_t) == sizeof(pthread_t),
    "C11 threads are POSIX threads");

static int code(int rc)
{
	switch (rc) {
	case 0:
		return thrd_success;
	case ENOMEM:
		return thrd_nomem;
	case ETIMEDOUT:
		return thrd_timedout;
	case EBUSY:
		return thrd_busy;
	default:
		return thrd_error;
	}
}

struct start {
	thrd_start_t function;
	void *argument;
};

static void *run(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	struct start *start = malloc(sizeof(*start));
	int rc;

	if (start == NULL)
		return thrd_nomem;
	*start = (struct start){function, argument};
	rc = pthread_create((pthread_t *)thread, NULL, run, start);
	if (rc != 0)
		free(start);
	return code(rc);
}

int thrd_join(thrd_t thread, int *result)
{
	void *value = NULL;
	int rc = pthread_join((pthread_t)thread, &value);

	if (rc == 0 && result != NULL)
		*result = (int)(intptr_t)value;
	return code(rc);
}

int thrd_detach(thrd_t thread)
{
	return code(pthread_detach((pthread_t)thread));
}

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attr;
	int rc;

	pthread_mutexattr_init(&attr);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return code(rc);
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
	return code(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
	return code(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
	return code(pthread_mutex_timedlock((pthread_mutex_t *)mutex, until));
}

int mtx_unlock(mtx_t *mutex)
{
	return code(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *condition)
{
	return code(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
	return code(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
	return code(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return code(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	return code(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}
