/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/replay_edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX_BYTES (256l << 20)

/* Files, not pipes: neither side waits for the other, whatever the command reads and writes first. */
static int run(const char *command, FILE *in, FILE *out, struct error *err)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return error_set(err, -errno, "fork: %s", strerror(errno));
	if (child == 0) {
		if (dup2(fileno(in), STDIN_FILENO) >= 0 && dup2(fileno(out), STDOUT_FILENO) >= 0)
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return error_set(err, -errno, "--edit: %s", strerror(errno));
	}
	if (WIFSIGNALED(status))
		return error_set(
		    err, -ECHILD, "--edit: the command was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return error_set(
		    err, -ECHILD, "--edit: the command ended with status %d", WEXITSTATUS(status));
	return 0;
}

static int read_all(FILE *file, char **text, size_t *len, struct error *err)
{
	long end;

	if (fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0)
		return error_set(err, -errno, "--edit: %s", strerror(errno));
	if (end > OUTPUT_MAX_BYTES)
		return error_set(err, -EFBIG, "--edit: the command wrote %ld bytes", end);
	*len = (size_t)end;
	*text = malloc(*len + 1);
	if (*text == NULL)
		return error_set(err, -ENOMEM, "no memory");
	rewind(file);
	if (fread(*text, 1, *len, file) != *len)
		return error_set(err, -EIO, "--edit: cannot read what the command wrote");
	return 0;
}

static int split(const char *text, size_t len, struct replay_line *out, uint32_t n, struct error *err)
{
	const char *end = text + len;
	uint32_t found = 0;

	for (const char *at = text; at < end; found++) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (eol == NULL)
			eol = end;
		if (found < n) {
			out[found].len = (size_t)(eol - at);
			out[found].data = malloc(out[found].len + 1);
			if (out[found].data == NULL)
				return error_set(err, -ENOMEM, "no memory");
			memcpy(out[found].data, at, out[found].len);
		}
		at = eol + 1;
	}
	if (found != n)
		return error_set(err, -EBADMSG, "--edit: the command wrote %u lines for %u", found, n);
	return 0;
}

int replay_edit(const char *command, struct replay_line *lines, uint32_t n, struct error *err)
{
	FILE *in = tmpfile(), *out = tmpfile();
	struct replay_line *edited = calloc(n, sizeof(edited[0]));
	char *text = NULL;
	size_t len = 0;
	int rc = 0;

	if (in == NULL || out == NULL || edited == NULL) {
		rc = error_set(err, -errno, "--edit: temporary file: %s", strerror(errno));
		goto out;
	}
	for (uint32_t i = 0; i < n; i++) {
		fwrite(lines[i].data, 1, lines[i].len, in);
		fputc('\n', in);
	}
	if (fflush(in) != 0 || ferror(in) || lseek(fileno(in), 0, SEEK_SET) != 0) {
		rc = error_set(err, -EIO, "--edit: temporary file: %s", strerror(errno));
		goto out;
	}
	rc = run(command, in, out, err);
	if (rc == 0)
		rc = read_all(out, &text, &len, err);
	if (rc == 0)
		rc = split(text, len, edited, n, err);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		struct replay_line line = lines[i];

		lines[i] = edited[i];
		edited[i] = line;
	}
out:
	for (uint32_t i = 0; edited != NULL && i < n; i++)
		free(edited[i].data);
	free(edited);
	free(text);
	if (in != NULL)
		fclose(in);
	if (out != NULL)
		fclose(out);
	return rc;
}
