/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz entry point without a fuzzer: over files, then over mutations of them that a seed determines.
 *
 *     fuzz_x [--mutate N] [--seed S] FILE|DIRECTORY...
 *
 * Prints "N inputs, M mutations", and what the entry point counted if it counts, and exits 0 if nothing
 * aborted. When the entry point crashes or aborts, the input is left in the working directory as
 * crash-<seed>-<number>.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_INPUT_BYTES (1u << 20)
#define MAX_GROWTH_BYTES 4096u /* of an input, by mutation */
#define MAX_STEPS 6u           /* mutations of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* An entry point that counts what became of its inputs has this: prints it; false if it is not all `inputs`.
 */
bool fuzz_report(uint64_t inputs) __attribute__((weak));

struct input {
	char *path;
	uint8_t *data;
	size_t size;
};

struct corpus {
	struct input *input;
	size_t n;
};

/* What the signal handler saves. A program's signal handlers have no other argument than globals. */
static struct {
	const uint8_t *data;
	size_t size;
	char path[64];
} current;

static void save_input(int number)
{
	int fd = open(current.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0) {
		ssize_t written = write(fd, current.data, current.size);

		(void)written;
		(void)close(fd);
	}
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: fuzz_x [--mutate N] [--seed S] FILE|DIRECTORY...\n");
	return 2;
}

static bool complain(const char *path)
{
	(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return false;
}

static bool add_file(struct corpus *corpus, const char *path, size_t size)
{
	struct input *input = realloc(corpus->input, (corpus->n + 1) * sizeof(*input));
	FILE *file;
	bool ok;

	if (input == NULL)
		return complain(path);
	corpus->input = input;
	input += corpus->n;
	if (size > MAX_INPUT_BYTES) {
		errno = EFBIG;
		return complain(path);
	}
	file = fopen(path, "rb");
	if (file == NULL)
		return complain(path);
	*input = (struct input){.path = strdup(path), .data = malloc(size > 0 ? size : 1), .size = size};
	corpus->n++;
	ok = input->path != NULL && input->data != NULL && fread(input->data, 1, size, file) == size;
	(void)fclose(file);
	return ok || complain(path);
}

static bool add_path(struct corpus *corpus, const char *path);

static bool add_directory(struct corpus *corpus, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool ok = true;

	if (directory == NULL)
		return complain(path);
	while (ok && (entry = readdir(directory)) != NULL) {
		char *inner = NULL;

		if (entry->d_name[0] == '.')
			continue;
		ok = asprintf(&inner, "%s/%s", path, entry->d_name) >= 0 && add_path(corpus, inner);
		free(inner);
	}
	(void)closedir(directory);
	return ok;
}

static bool add_path(struct corpus *corpus, const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return complain(path);
	if (S_ISDIR(status.st_mode))
		return add_directory(corpus, path);
	return add_file(corpus, path, (size_t)status.st_size);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct input *)a)->path, ((const struct input *)b)->path);
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number below `limit`, which is not 0. */
static size_t below(uint64_t *state, size_t limit)
{
	return (size_t)(next_random(state) % limit);
}

/* Replaces `removed` bytes at `at` by `size` bytes from elsewhere. Returns the new size. */
static size_t replace(
    uint8_t *data, size_t total, size_t at, size_t removed, const uint8_t *bytes, size_t size)
{
	memmove(data + at + size, data + at + removed, total - at - removed);
	memcpy(data + at, bytes, size);
	return total - removed + size;
}

/* One random change of data[0..size), which has room for `room` bytes. Returns the new size. */
static size_t mutate(uint8_t *data, size_t size, size_t room, const struct corpus *corpus, uint64_t *state)
{
	static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '}', '[', ']', ',', ':',
	    '-', '0', '\n', ' ', 0xc0, 0xed, 0xf4};
	const struct input *other = &corpus->input[below(state, corpus->n)];
	size_t at = below(state, size + 1), rest = size - at, n, from;
	uint8_t bytes[16];

	switch (below(state, 7)) {
	case 0: /* flip a bit */
		if (rest > 0)
			data[at] ^= (uint8_t)(1u << below(state, 8));
		return size;
	case 1: /* overwrite a byte */
		if (rest > 0)
			data[at] = (uint8_t)next_random(state);
		return size;
	case 2: /* overwrite a byte by one that means something to somebody */
		if (rest > 0)
			data[at] = special[below(state, sizeof(special))];
		return size;
	case 3: /* insert */
		n = 1 + below(state, sizeof(bytes));
		for (size_t i = 0; i < n; i++)
			bytes[i] = below(state, 2) ? special[below(state, sizeof(special))]
			                           : (uint8_t)next_random(state);
		return size + n <= room ? replace(data, size, at, 0, bytes, n) : size;
	case 4: /* delete */
		n = rest > 0 ? 1 + below(state, rest < 32 ? rest : 32) : 0;
		return replace(data, size, at, n, bytes, 0);
	case 5: /* cut */
		return below(state, 4) == 0 ? at : size;
	default: /* splice in a part of another input */
		from = below(state, other->size + 1);
		n = below(state, other->size - from + 1);
		if (size + n > room)
			return size;
		return replace(data, size, at, below(state, rest + 1), other->data + from, n);
	}
}

/* On memory of exactly the input's size, so that a sanitizer sees every byte too far. */
static bool run(const uint8_t *data, size_t size, uint64_t seed, uint64_t number)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	if (copy == NULL)
		return complain("input");
	memcpy(copy, data, size);
	current.data = copy;
	current.size = size;
	(void)snprintf(current.path, sizeof(current.path), "crash-%" PRIu64 "-%" PRIu64, seed, number);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return true;
}

static bool run_mutations(const struct corpus *corpus, uint64_t count, uint64_t seed)
{
	uint8_t *data = malloc(MAX_INPUT_BYTES + MAX_GROWTH_BYTES);
	uint64_t state = seed;
	bool ok = true;

	if (data == NULL)
		return complain("mutations");
	for (uint64_t i = 0; ok && i < count; i++) {
		const struct input *input = &corpus->input[below(&state, corpus->n)];
		size_t size = input->size, steps = 1 + below(&state, MAX_STEPS);

		memcpy(data, input->data, size);
		while (steps-- > 0)
			size = mutate(data, size, input->size + MAX_GROWTH_BYTES, corpus, &state);
		ok = run(data, size, seed, corpus->n + i);
	}
	free(data);
	return ok;
}

static bool parse_number(const char *text, uint64_t *out)
{
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno == 0 && *end == '\0';
}

int main(int argc, char **argv)
{
	static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	struct corpus corpus = {0};
	uint64_t mutations = 0, seed = 1;
	bool ok = true;
	int i;

	for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		bool mutate_option = strcmp(argv[i], "--mutate") == 0;

		if ((!mutate_option && strcmp(argv[i], "--seed") != 0) ||
		    !parse_number(argv[i + 1], mutate_option ? &mutations : &seed))
			return usage();
	}
	if (i >= argc)
		return usage();
	for (; ok && i < argc; i++)
		ok = add_path(&corpus, argv[i]);
	if (ok && corpus.n == 0) {
		(void)fprintf(stderr, "no input\n");
		ok = false;
	}
	if (!ok)
		goto out;
	qsort(corpus.input, corpus.n, sizeof(corpus.input[0]), compare_paths);
	for (size_t s = 0; s < sizeof(signals) / sizeof(signals[0]); s++)
		(void)signal(signals[s], save_input);
	if (LLVMFuzzerInitialize != NULL && LLVMFuzzerInitialize(&argc, &argv) != 0) {
		ok = false;
		goto out;
	}
	for (size_t n = 0; ok && n < corpus.n; n++)
		ok = run(corpus.input[n].data, corpus.input[n].size, seed, n);
	ok = ok && run_mutations(&corpus, mutations, seed);
	if (ok)
		(void)printf("%zu inputs, %" PRIu64 " mutations\n", corpus.n, mutations);
	if (ok && fuzz_report != NULL)
		ok = fuzz_report(corpus.n + mutations);
out:
	for (size_t n = 0; n < corpus.n; n++) {
		free(corpus.input[n].path);
		free(corpus.input[n].data);
	}
	free(corpus.input);
	return ok ? 0 : 1;
}
