/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_server.h"

#include "config_scalar.h"
#include "control_change.h"
#include "control_listen.h"
#include "control_routes.h"
#include "control_upload.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTION_MEMORY_BYTES 32768u /* request line, headers and buffers of one connection */

enum listener_kind { LISTENER_UNIX, LISTENER_TCP, LISTENERS };

struct listener {
	struct control_server *server;
	struct MHD_Daemon *daemon; /* NULL: not used */
	bool tcp;
};

struct control_server {
	struct listener listeners[LISTENERS];
	struct route_server routes;
	char *socket, *http_host, *upload_directory;
	struct listen_file file;
	bool bound; /* `file` is ours */
	int epoll;
	unsigned int uploads;
	struct change_queue *changes;
	unsigned int changing; /* requests for a change that are not answered */
	bool finishing;        /* changes are refused */
};

/* One request, from its first header to its answer. */
struct request {
	struct control_server *server;
	const struct route *route;
	char name[ROUTES_NAME_SIZE];
	struct upload *upload; /* NULL: the route takes no body */
	struct MHD_Connection *connection;
	struct change change;
	bool changing, changed; /* the change is asked for; it has come to its end */
	unsigned int status;    /* of a failure noticed while the body came, or 0 */
	int code;
	struct error error;
};

static enum MHD_Result respond(struct MHD_Connection *connection, struct answer *answer, const char *allow)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (response == NULL) {
		free(answer->body);
		return MHD_NO;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type) != MHD_YES ||
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") != MHD_YES ||
	    (allow != NULL && MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow) != MHD_YES))
		result = MHD_NO;
	else
		result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result respond_error(
    struct MHD_Connection *connection, unsigned int status, int code, const char *text, const char *allow)
{
	struct answer answer;

	route_answer_error(&answer, status, code, text);
	return respond(connection, &answer, allow);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The upload that a request is about to make. On failure the request is answered and *result says how that
 * went. */
static bool start_upload(struct request *request, struct MHD_Connection *connection, enum MHD_Result *result)
{
	struct control_server *server = request->server;
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t announced = 0;
	struct error err;
	int rc;

	if (length != NULL && !scalar_unsigned(length, &announced)) {
		*result = respond_error(connection, 400, 0, "Content-Length is not a number", NULL);
		return false;
	}
	if (server->uploads >= CONTROL_MAX_UPLOADS) {
		*result = respond_error(connection, 503, 0, "too many uploads at once", NULL);
		return false;
	}
	request->upload = malloc(sizeof(*request->upload));
	if (request->upload == NULL) {
		*result = MHD_NO;
		return false;
	}
	rc = upload_open(request->upload, server->upload_directory, announced, &err);
	if (rc < 0) {
		free(request->upload);
		request->upload = NULL;
		*result = respond_error(connection, 0, rc, err.text, NULL);
		return false;
	}
	server->uploads++;
	return true;
}

/* Headers are complete; no byte of the body has come. */
static enum MHD_Result start(struct listener *listener, struct MHD_Connection *connection, const char *url,
    const char *method, void **slot)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH), *allow;
	bool body = header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
	            (length != NULL && strcmp(length, "0") != 0);
	enum MHD_Result result = MHD_YES;
	struct request *request;
	unsigned int status;

	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return MHD_NO;
	request->server = listener->server;
	request->connection = connection;
	*slot = request;
	request->route = route_find(method, url, listener->tcp, request->name, &status, &allow);
	if (request->route == NULL)
		return respond_error(connection, status, 0,
		    status == 405 ? "that path does not know the method" : "there is no such path", allow);
	if (!request->route->upload)
		return body ? respond_error(connection, 413, 0, "this request takes no body", NULL) : MHD_YES;
	(void)start_upload(request, connection, &result);
	return result;
}

/* The connection sleeps until the change has come to its end. */
static enum MHD_Result start_change(struct request *request)
{
	struct control_server *server = request->server;

	if (server->finishing)
		return respond_error(request->connection, 503, 0, "no more changes: the daemon stops", NULL);
	request->change = (struct change){.name = request->name, .upload = request->upload, .owner = request};
	request->changing = true;
	server->changing++;
	MHD_suspend_connection(request->connection);
	change_queue_add(server->changes, &request->change);
	return MHD_YES;
}

static enum MHD_Result answer_change(struct request *request)
{
	struct answer answer;

	if (request->change.code < 0)
		return respond_error(
		    request->connection, 0, request->change.code, request->change.error.text, NULL);
	route_answer_json(&answer, 200, json_incref(request->change.result));
	return respond(request->connection, &answer, NULL);
}

/* Wakes the connections whose changes have come to their ends. */
static void take_changes(struct control_server *server)
{
	struct change *change;

	while ((change = change_queue_take(server->changes)) != NULL) {
		struct request *request = change->owner;

		request->changed = true;
		MHD_resume_connection(request->connection);
	}
}

static enum MHD_Result finish(struct request *request, struct MHD_Connection *connection)
{
	struct error err = {.text = ""};
	struct answer answer;
	int rc = request->code;

	if (rc < 0)
		return respond_error(connection, 0, rc, request->error.text, NULL);
	if (request->upload != NULL && request->upload->bytes == 0)
		return respond_error(connection, 400, 0, "the body is empty", NULL);
	if (request->changed)
		return answer_change(request);
	if (request->route->handle_named != NULL)
		rc = request->route->handle_named(&request->server->routes, request->name,
		    request->upload == NULL ? NULL : request->upload->path, &answer, &err);
	else if (request->route->handle != NULL)
		rc = request->route->handle(&request->server->routes, &answer, &err);
	else
		return start_change(request);
	return rc < 0 ? respond_error(connection, 0, rc, err.text, NULL) : respond(connection, &answer, NULL);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *body, size_t *body_len, void **slot)
{
	struct request *request = *slot;

	(void)version;
	if (request == NULL)
		return start(context, connection, url, method, slot);
	if (*body_len == 0)
		return finish(request, connection);
	/* The answer to a failed upload can go out only when the client has said everything. */
	if (request->code == 0)
		request->code = request->upload == NULL
		                    ? error_set(&request->error, -EMSGSIZE, "this request takes no body")
		                    : upload_write(request->upload, body, *body_len, &request->error);
	if (request->code < 0 && request->upload != NULL)
		upload_close(request->upload);
	*body_len = 0;
	return MHD_YES;
}

static void on_completed(
    void *context, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode code)
{
	struct request *request = *slot;

	(void)context;
	(void)connection;
	(void)code;
	if (request == NULL)
		return;
	if (request->upload != NULL) {
		upload_close(request->upload);
		free(request->upload);
		request->server->uploads--;
	}
	if (request->changing) {
		json_decref(request->change.result);
		request->server->changing--;
	}
	free(request);
	*slot = NULL;
}

/* MHD writes a NUL over "%00" and would cut the path there. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
	size_t len = strlen(text);

	(void)context;
	(void)connection;
	/* Names need no escapes: the text stays as it came, and what has an escape matches no path. */
	return len;
}

static void ignore_log(void *context, const char *format, va_list args)
{
	(void)context;
	(void)format;
	(void)args;
}

/* Takes `fd` over. */
static int start_listener(
    struct listener *listener, struct control_server *server, int fd, bool tcp, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	const union MHD_DaemonInfo *info;

	listener->server = server;
	listener->tcp = tcp;
	listener->daemon =
	    MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
	        on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL, MHD_OPTION_LISTEN_SOCKET,
	        fd, MHD_OPTION_CONNECTION_LIMIT, CONTROL_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, CONTROL_IDLE_TIMEOUT_S,
	        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	if (listener->daemon == NULL) {
		(void)close(fd);
		return error_set(err, -EIO, "cannot start the HTTP server");
	}
	info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || epoll_ctl(server->epoll, EPOLL_CTL_ADD, info->epoll_fd, &event) < 0)
		return error_set(err, -EIO, "cannot watch the HTTP server");
	return 0;
}

static int copy_options(
    struct control_server *server, const struct control_server_options *options, struct error *err)
{
	server->socket = strdup(options->socket);
	server->upload_directory = strdup(options->upload_directory);
	server->http_host = options->http_host == NULL ? NULL : strdup(options->http_host);
	if (server->socket == NULL || server->upload_directory == NULL ||
	    (options->http_host != NULL && server->http_host == NULL))
		return error_set(err, -ENOMEM, "out of memory");
	server->routes = (struct route_server){.backend = options->backend,
	    .socket = server->socket,
	    .http_host = server->http_host,
	    .http_port = options->http_port};
	return 0;
}

static int start_changes(
    struct control_server *server, const struct control_backend *backend, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	int rc = change_queue_create(backend, &server->changes, err);

	if (rc == 0 && epoll_ctl(server->epoll, EPOLL_CTL_ADD, change_queue_fd(server->changes), &event) < 0)
		rc = error_set(err, -errno, "cannot watch the changes: %s", strerror(errno));
	return rc;
}

int control_server_create(
    const struct control_server_options *options, struct control_server **out, struct error *err)
{
	struct control_server *server = calloc(1, sizeof(*server));
	int rc, fd;

	*out = NULL;
	if (server == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0) {
		rc = error_set(err, -errno, "cannot make an epoll descriptor: %s", strerror(errno));
		goto err;
	}
	rc = copy_options(server, options, err);
	if (rc == 0)
		rc = start_changes(server, options->backend, err);
	if (rc == 0)
		rc = listen_make_directory(server->upload_directory, err);
	if (rc < 0)
		goto err;
	rc = fd = listen_unix(server->socket, &server->file, err);
	if (rc < 0)
		goto err;
	server->bound = true;
	/* The caller has the directory to itself: what lies there is of a run that has ended. */
	upload_clean(server->upload_directory);
	rc = start_listener(&server->listeners[LISTENER_UNIX], server, fd, false, err);
	if (rc == 0 && server->http_host != NULL) {
		rc = fd = listen_tcp(server->http_host, &server->routes.http_port, err);
		if (rc >= 0)
			rc = start_listener(&server->listeners[LISTENER_TCP], server, fd, true, err);
	}
	if (rc < 0)
		goto err;
	*out = server;
	return 0;
err:
	control_server_destroy(server);
	return rc;
}

void control_server_destroy(struct control_server *server)
{
	if (server == NULL)
		return;
	/* MHD stops only when no connection sleeps. */
	if (server->changes != NULL) {
		change_queue_stop(server->changes);
		take_changes(server);
	}
	for (int i = 0; i < LISTENERS; i++) {
		if (server->listeners[i].daemon != NULL)
			MHD_stop_daemon(server->listeners[i].daemon);
	}
	if (server->bound)
		listen_unlink(server->socket, &server->file);
	change_queue_destroy(server->changes);
	if (server->epoll >= 0)
		(void)close(server->epoll);
	free(server->socket);
	free(server->http_host);
	free(server->upload_directory);
	free(server);
}

int control_server_fd(const struct control_server *server)
{
	return server->epoll;
}

int control_server_timeout_ms(struct control_server *server)
{
	MHD_UNSIGNED_LONG_LONG least = INT_MAX, timeout;
	bool any = false;

	for (int i = 0; i < LISTENERS; i++) {
		if (server->listeners[i].daemon == NULL ||
		    MHD_get_timeout(server->listeners[i].daemon, &timeout) != MHD_YES)
			continue;
		any = true;
		if (timeout < least)
			least = timeout;
	}
	return any ? (int)least : -1;
}

bool control_server_finish_changes(struct control_server *server)
{
	server->finishing = true;
	return server->changing > 0;
}

void control_server_run(struct control_server *server)
{
	take_changes(server);
	for (int i = 0; i < LISTENERS; i++) {
		if (server->listeners[i].daemon != NULL)
			(void)MHD_run(server->listeners[i].daemon);
	}
}

uint16_t control_server_http_port(const struct control_server *server)
{
	return server->http_host == NULL ? 0 : server->routes.http_port;
}
