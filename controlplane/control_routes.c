/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_routes.h"

#include "config_text.h"
#include "control_dump.h"
#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_JSON "application/json"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_DUMP "application/octet-stream"

static const char no_memory[] = "{\"error\":\"out of memory\"}\n";

void route_answer_json(struct answer *out, unsigned int status, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
	size_t len = text == NULL ? 0 : strlen(text);
	char *line = text == NULL ? NULL : realloc(text, len + 2);

	json_decref(json);
	if (line == NULL) {
		free(text);
		*out = (struct answer){507, TYPE_JSON, strdup(no_memory), sizeof(no_memory) - 1};
		if (out->body == NULL)
			out->len = 0;
		return;
	}
	memcpy(line + len, "\n", 2);
	*out = (struct answer){status, TYPE_JSON, line, len + 1};
}

static unsigned int status_of(int code)
{
	switch (-code) {
	case ENOENT:
		return 404;
	case EEXIST:
	case EBUSY:
	case EALREADY:
		return 409;
	case EINVAL:
	case EBADMSG:
	case EPROTONOSUPPORT:
	case EMSGSIZE:
		return 422;
	case EAGAIN:
		return 503;
	case ENOSPC:
	case ENOMEM:
		return 507;
	default:
		return 500;
	}
}

void route_answer_error(struct answer *out, unsigned int status, int code, const char *text)
{
	/* json_string() refuses what is not UTF-8; a message may quote a client's bytes. */
	json_t *message = json_string(text);

	if (message == NULL)
		message = json_string("the reason cannot be shown: it is not UTF-8");
	route_answer_json(out, status == 0 ? status_of(code) : status, json_pack("{s:o}", "error", message));
}

/* The backend's status document, with the addresses that the server knows. */
static json_t *make_status(const struct route_server *server)
{
	json_t *status = server->backend->status(server->backend->context);
	json_t *control = json_pack("{s:s}", "socket", server->socket);
	bool v6 = server->http_host != NULL && strchr(server->http_host, ':') != NULL;

	if (server->http_host != NULL)
		(void)json_object_set_new(control, "http",
		    json_sprintf(v6 ? "[%s]:%u" : "%s:%u", server->http_host, server->http_port));
	if (status == NULL || json_object_set_new(status, "control", control) < 0) {
		json_decref(status);
		return NULL;
	}
	return status;
}

static int handle_status(const struct route_server *server, struct answer *out, struct error *err)
{
	(void)err;
	route_answer_json(out, 200, make_status(server));
	return 0;
}

static int handle_stats(const struct route_server *server, struct answer *out, struct error *err)
{
	json_t *status = make_status(server);

	(void)err;
	route_answer_json(out, 200, status == NULL ? NULL : metrics_json(status));
	json_decref(status);
	return 0;
}

static int handle_metrics(const struct route_server *server, struct answer *out, struct error *err)
{
	json_t *status = make_status(server);
	char *text = NULL;
	size_t len = 0;
	FILE *stream = status == NULL ? NULL : open_memstream(&text, &len);

	if (stream != NULL)
		metrics_write(status, stream);
	json_decref(status);
	if (stream == NULL || fclose(stream) != 0) {
		free(text);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*out = (struct answer){200, TYPE_METRICS, text, len};
	return 0;
}

static int handle_health(const struct route_server *server, struct answer *out, struct error *err)
{
	(void)server;
	(void)err;
	route_answer_json(out, 200, json_pack("{s:s}", "status", "ok"));
	return 0;
}

static int handle_ready(const struct route_server *server, struct answer *out, struct error *err)
{
	struct error why = {.text = ""};

	(void)err;
	if (server->backend->ready(server->backend->context, &why) == 0)
		route_answer_json(out, 200, json_pack("{s:b}", "ready", 1));
	else
		route_answer_error(out, 503, 0, why.text);
	return 0;
}

static int handle_dump(const struct route_server *server, struct answer *out, struct error *err)
{
	json_t *status = make_status(server);
	uint8_t *bytes;
	size_t len;
	int rc;

	if (status == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	rc = control_dump(status, &bytes, &len, err);
	json_decref(status);
	if (rc == 0)
		*out = (struct answer){200, TYPE_DUMP, bytes, len};
	return rc;
}

static int handle_dim_list(const struct route_server *server, struct answer *out, struct error *err)
{
	json_t *list = server->backend->dim_list(server->backend->context);

	(void)err;
	route_answer_json(out, 200, list == NULL ? NULL : json_pack("{s:o}", "dimensions", list));
	return 0;
}

static int handle_source_list(const struct route_server *server, struct answer *out, struct error *err)
{
	json_t *list = server->backend->source_list(server->backend->context);

	(void)err;
	route_answer_json(out, 200, list == NULL ? NULL : json_pack("{s:o}", "sources", list));
	return 0;
}

static int handle_source_add(const struct route_server *server, const char *name, const char *upload,
    struct answer *out, struct error *err)
{
	json_t *result = NULL, *request;
	json_error_t why;
	int rc;

	request = json_load_file(upload, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(request)) {
		json_decref(request);
		return error_set(err, -EBADMSG, "the body is not a JSON object");
	}
	rc = server->backend->source_add(server->backend->context, name, request, &result, err);
	json_decref(request);
	if (rc == 0)
		route_answer_json(out, 200, result);
	return rc;
}

static int handle_source_revoke(const struct route_server *server, const char *name, const char *upload,
    struct answer *out, struct error *err)
{
	json_t *result = NULL;
	int rc = server->backend->source_revoke(server->backend->context, name, &result, err);

	(void)upload;
	if (rc == 0)
		route_answer_json(out, 200, result);
	return rc;
}

static int handle_drain(const struct route_server *server, struct answer *out, struct error *err)
{
	int rc = server->backend->drain(server->backend->context, err);

	if (rc == 0)
		route_answer_json(out, 202, json_pack("{s:s}", "state", "draining"));
	return rc;
}

static const struct route routes[] = {
    {"GET", "/v1/status", false, false, handle_status, "everything the daemon knows about itself", NULL},
    {"GET", "/v1/stats", false, false, handle_stats, "every counter and gauge, as a flat list", NULL},
    {"GET", "/v1/dump", false, false, handle_dump, "a telemetry dump (FlatBuffers)", NULL},
    {"GET", "/v1/dimensions", false, false, handle_dim_list, "the loaded snapshots", NULL},
    {"PUT", "/v1/dimensions/{name}", false, true, NULL, "load and publish the snapshot in the body", NULL},
    {"POST", "/v1/dimensions/{name}/rollback", false, false, NULL, "publish the previous snapshot", NULL},
    {"GET", "/v1/sources", false, false, handle_source_list, "the senders that are listed", NULL},
    {"PUT", "/v1/sources/{name}", false, true, NULL,
        "list a sender by its id, or give it another key or rate", handle_source_add},
    {"POST", "/v1/sources/{name}/revoke", false, false, NULL, "shut a sender out", handle_source_revoke},
    {"POST", "/v1/drain", false, false, handle_drain, "finish what is in flight and stop", NULL},
    {"GET", "/metrics", true, false, handle_metrics, "Prometheus", NULL},
    {"GET", "/health", true, false, handle_health, "200 while the control thread runs", NULL},
    {"GET", "/ready", true, false, handle_ready, "200 while events are accepted, else 503 and the reason",
        NULL},
    {NULL, NULL, false, false, NULL, NULL, NULL},
};

const struct route *route_table(void)
{
	return routes;
}

static bool match(const char *pattern, const char *path, char *name)
{
	static const char hole[] = "{name}";

	name[0] = '\0';
	while (*pattern != '\0') {
		if (strncmp(pattern, hole, sizeof(hole) - 1) == 0) {
			size_t len = strcspn(path, "/");

			if (len == 0 || len >= ROUTES_NAME_SIZE)
				return false;
			memcpy(name, path, len);
			name[len] = '\0';
			if (text_refuse_name(name) != NULL)
				return false;
			pattern += sizeof(hole) - 1;
			path += len;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

const struct route *route_find(
    const char *method, const char *path, bool tcp, char *name, unsigned int *status, const char **allow)
{
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

	*allow = NULL;
	for (const struct route *route = routes; route->method != NULL; route++) {
		if ((tcp && !route->tcp) || !match(route->path, path, name))
			continue;
		if (strcmp(route->method, wanted) == 0)
			return route;
		*allow = route->method;
	}
	*status = *allow == NULL ? 404 : 405;
	return NULL;
}
