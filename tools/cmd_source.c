/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_print.h"
#include "cli_verb.h"
#include "key_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define NEW_KEY_BYTES 32u
#define MAX_RATE UINT64_C(1000000000)

static int make_path(const char *id, const char *more, char *out, size_t size, struct error *err)
{
	size_t digits = strspn(id, "0123456789");

	if (digits == 0 || digits > 20 || id[digits] != '\0')
		return error_set(err, -EINVAL, "\"%.64s\" is not a source's id: a number is needed", id);
	(void)snprintf(out, size, "/v1/sources/%s%s", id, more);
	return 0;
}

static void print_keys(const json_t *source, char *out, size_t size)
{
	size_t used = 0, i;
	json_t *id;

	out[0] = '\0';
	json_array_foreach(json_object_get(source, "key_ids"), i, id)
	{
		int n = snprintf(out + used, size - used, "%s%" JSON_INTEGER_FORMAT, i == 0 ? "" : ",",
		    json_integer_value(id));

		if (n > 0 && (size_t)n < size - used)
			used += (size_t)n;
	}
}

static void print_sources(const json_t *sources, FILE *out)
{
	struct print_table table;
	json_t *source;
	char keys[64];
	size_t i;

	table_init(&table, ">SOURCE|STATE|KEYS|>RATE|>BURST");
	json_array_foreach(sources, i, source)
	{
		print_keys(source, keys, sizeof(keys));
		table_text(&table, member_text(source, "id"));
		table_text(&table, member_true(source, "revoked") ? "revoked" : "listed");
		table_text(&table, keys);
		table_count(&table, member_integer(source, "rate"));
		table_count(&table, member_integer(source, "burst"));
	}
	table_print(&table, out);
}

int cmd_source_ls(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock source ls [options]",
	    "Shows the senders that are listed. For each its id, whether it is revoked, the numbers of its "
	    "keys, "
	    "and its rate and burst in events (0: those of the configuration).",
	    table};
	json_t *answer;
	struct error err;
	int first, rc = verb_begin(&args, "source ls", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	rc = client_json(client_socket(args_get(&args, "socket")), "GET", "/v1/sources", NULL, &answer, &err);
	if (rc < 0)
		return verb_fail("source ls", &err);
	if (args_get(&args, "json") != NULL)
		verb_print_json(json_object_get(answer, "sources"));
	else
		print_sources(json_object_get(answer, "sources"), stdout);
	json_decref(answer);
	return EXIT_OK;
}

/* "key", and "key_id" where the file has one. A new key is random and gets its number from the daemon. */
static int put_key(json_t *request, const char *path, char *hex, size_t size, struct error *err)
{
	struct key_file key = {.len = NEW_KEY_BYTES};

	if (path != NULL) {
		int rc = key_file_read(path, &key, err);

		if (rc != 0)
			return rc;
		json_object_set_new(request, "key_id", json_integer(key.id));
	} else if (getrandom(key.bytes, key.len, 0) != (ssize_t)key.len) {
		return error_set(err, -EIO, "no random bytes for a key");
	}
	for (uint32_t i = 0; i < key.len; i++)
		(void)snprintf(hex + 2 * (size_t)i, size - 2 * (size_t)i, "%02x", key.bytes[i]);
	json_object_set_new(request, "key", json_string(hex));
	explicit_bzero(&key, sizeof(key));
	return 0;
}

/* The body stays in memory: it holds a key. */
static int request_with(
    const char *socket, const char *path, const json_t *request, json_t **answer, struct error *err)
{
	int fd = memfd_create("penstock-request", MFD_CLOEXEC), rc;
	char body[64];

	if (fd < 0)
		return error_set(err, -errno, "no memory for the request");
	rc = json_dumpfd(request, fd, JSON_COMPACT) != 0 || lseek(fd, 0, SEEK_SET) != 0
	         ? error_set(err, -EIO, "cannot write the request")
	         : 0;
	(void)snprintf(body, sizeof(body), "/proc/self/fd/%d", fd);
	if (rc == 0)
		rc = client_json(socket, "PUT", path, body, answer, err);
	(void)close(fd);
	return rc;
}

/* The newest of a source's keys. */
static json_int_t newest_key(const json_t *source)
{
	const json_t *ids = json_object_get(source, "key_ids");
	size_t n = json_array_size(ids);

	return n == 0 ? 0 : json_integer_value(json_array_get(ids, n - 1));
}

int cmd_source_add(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET,
	    {"key-file", "FILE", "the key, as ID:HEX (default: a new random key, which is printed like that)",
	        NULL},
	    {"keep-keys", NULL, "no new key: change the rate of a source that is listed", NULL},
	    {"rate", "EVENTS", "events per second that it may send (0: as the configuration says)", NULL},
	    {"burst", "EVENTS", "events that it may send at once (0: what the rate gives in a second)", NULL},
	    VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock source add ID [options]",
	    "Lists a sender, or gives it another key. The key that it had stays valid beside the new one, "
	    "until "
	    "another is added, so that keys can be changed without a pause. Takes effect at once.",
	    table};
	int first, rc = verb_begin(&args, "source add", argc, argv, 1, 1, &first);
	char path[64], hex[2 * WIRE_KEY_MAX_BYTES + 1] = "";
	uint64_t rate = UINT64_MAX, burst = UINT64_MAX;
	json_t *request, *answer = NULL;
	const char *file;
	struct error err;

	if (rc != 0)
		return verb_exit(rc);
	file = args_get(&args, "key-file");
	rc = make_path(argv[first], "", path, sizeof(path), &err);
	if (rc == 0)
		rc = args_get_u64(&args, "rate", 0, MAX_RATE, &rate, &err);
	if (rc == 0)
		rc = args_get_u64(&args, "burst", 0, MAX_RATE, &burst, &err);
	if (rc == 0 && file != NULL && args_get(&args, "keep-keys") != NULL)
		rc = error_set(&err, -EINVAL, "--key-file and --keep-keys exclude each other");
	if (rc < 0)
		return args_usage_error("source add", &err);
	request = json_object();
	if (rate != UINT64_MAX)
		json_object_set_new(request, "rate", json_integer((json_int_t)rate));
	if (burst != UINT64_MAX)
		json_object_set_new(request, "burst", json_integer((json_int_t)burst));
	if (args_get(&args, "keep-keys") == NULL)
		rc = put_key(request, file, hex, sizeof(hex), &err);
	if (rc == 0)
		rc = request_with(client_socket(args_get(&args, "socket")), path, request, &answer, &err);
	json_decref(request);
	if (rc < 0)
		return verb_fail("source add", &err);
	if (args_get(&args, "json") != NULL) {
		if (file == NULL && hex[0] != '\0')
			json_object_set_new(answer, "key",
			    json_sprintf("%" JSON_INTEGER_FORMAT ":%s", newest_key(answer), hex));
		verb_print_json(answer);
	} else if (file == NULL && hex[0] != '\0') {
		(void)printf("%" JSON_INTEGER_FORMAT ":%s\n", newest_key(answer), hex);
	} else {
		(void)printf("source %s: listed\n", argv[first]);
	}
	json_decref(answer);
	explicit_bzero(hex, sizeof(hex));
	return EXIT_OK;
}

int cmd_source_revoke(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock source revoke ID [options]",
	    "Shuts a sender out. Its keys are forgotten and its frames refused from now on, with and without "
	    "authentication; what was accepted before goes on. It stays listed as revoked until it is added "
	    "again.",
	    table};
	int first, rc = verb_begin(&args, "source revoke", argc, argv, 1, 1, &first);
	json_t *answer;
	struct error err;
	char path[64];

	if (rc != 0)
		return verb_exit(rc);
	if (make_path(argv[first], "/revoke", path, sizeof(path), &err) < 0)
		return args_usage_error("source revoke", &err);
	rc = client_json(client_socket(args_get(&args, "socket")), "POST", path, NULL, &answer, &err);
	if (rc < 0)
		return verb_fail("source revoke", &err);
	if (args_get(&args, "json") != NULL)
		verb_print_json(answer);
	else
		(void)printf("source %s: revoked\n", argv[first]);
	json_decref(answer);
	return EXIT_OK;
}
