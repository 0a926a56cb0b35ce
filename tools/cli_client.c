/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONNECT_TIMEOUT_MS 5000L
#define SILENCE_TIMEOUT_S 120L /* loading a large snapshot takes a while */

struct body {
	char *bytes;
	size_t len, size;
};

const char *client_socket(const char *given)
{
	const char *from_environment = getenv("PENSTOCK_SOCKET");

	if (given != NULL)
		return given;
	return from_environment != NULL && from_environment[0] != '\0' ? from_environment
	                                                               : CLIENT_DEFAULT_SOCKET;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
	struct body *body = context;

	n *= size;
	if (n > CLIENT_MAX_ANSWER - body->len)
		return 0;
	if (body->len + n + 1 > body->size) {
		size_t more = 2 * (body->len + n) + 1;
		char *grown = realloc(body->bytes, more);

		if (grown == NULL)
			return 0;
		body->bytes = grown;
		body->size = more;
	}
	memcpy(body->bytes + body->len, bytes, n);
	body->len += n;
	body->bytes[body->len] = '\0';
	return n;
}

/* What went wrong between us and the daemon. */
static int fail_transport(
    CURL *curl, CURLcode code, const char *socket, const char *detail, struct error *err)
{
	long number = 0;

	if (code == CURLE_COULDNT_CONNECT) {
		(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
		return error_set(err, -ENOTCONN, "no daemon answers at %s: %s", socket,
		    number == 0 ? curl_easy_strerror(code) : strerror((int)number));
	}
	return error_set(err, -EIO, "the daemon at %s does not answer: %s", socket,
	    detail[0] == '\0' ? curl_easy_strerror(code) : detail);
}

/* The daemon's reason from {"error": "..."}. */
static int fail_answer(long status, const struct body *body, struct error *err)
{
	json_t *answer = body->bytes == NULL ? NULL : json_loadb(body->bytes, body->len, 0, NULL);
	const char *reason = json_string_value(json_object_get(answer, "error"));

	if (reason != NULL)
		(void)error_set(err, -EREMOTEIO, "%s", reason);
	else
		(void)error_set(err, -EREMOTEIO, "the daemon answers with HTTP status %ld", status);
	json_decref(answer);
	return -EREMOTEIO;
}

static int set_upload(CURL *curl, const char *path, FILE **file, struct error *err)
{
	struct stat st;

	*file = fopen(path, "re");
	if (*file == NULL)
		return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fileno(*file), &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s is not a regular file", path);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READDATA, *file);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	return 0;
}

int client_request(const char *socket, const char *method, const char *path, const char *upload, char **out,
    size_t *len, struct error *err)
{
	char url[512], detail[CURL_ERROR_SIZE] = "";
	struct body body = {0};
	FILE *file = NULL;
	CURL *curl = curl_easy_init();
	CURLcode code;
	long status = 0;
	int rc = 0;

	*out = NULL;
	if (curl == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	(void)snprintf(url, sizeof(url), "http://penstock%s", path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	if (upload != NULL)
		rc = set_upload(curl, upload, &file, err);
	if (rc < 0)
		goto out;
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK)
		rc = status >= 400 && body.len > 0 ? fail_answer(status, &body, err)
		                                   : fail_transport(curl, code, socket, detail, err);
	else if (status >= 400)
		rc = fail_answer(status, &body, err);
	else if (body.bytes == NULL)
		rc = error_set(err, -EIO, "the daemon at %s gives an empty answer", socket);
out:
	if (file != NULL)
		(void)fclose(file);
	curl_easy_cleanup(curl);
	if (rc < 0) {
		free(body.bytes);
		return rc;
	}
	*out = body.bytes;
	*len = body.len;
	return 0;
}

int client_json(const char *socket, const char *method, const char *path, const char *upload, json_t **out,
    struct error *err)
{
	json_error_t why;
	char *text;
	size_t len;
	int rc;

	*out = NULL;
	rc = client_request(socket, method, path, upload, &text, &len, err);
	if (rc < 0)
		return rc;
	*out = json_loadb(text, len, 0, &why);
	free(text);
	return *out == NULL ? error_set(err, -EIO, "the daemon's answer is not JSON: %s", why.text) : 0;
}
