/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Placeholders: how often somebody has looked, so that rates are not zero. */
static const char canned[] =
    "{\"node\":\"n-1\",\"version\":\"0.1.0\",\"pid\":42,\"state\":\"ready\",\"since_ms\":1750000000000,"
    "\"uptime_s\":93784,"
    "\"conserved\":true,\"streams\":[{\"name\":\"catalog\",\"udp_port\":9000,\"received\":%d,\"durable\":%d,"
    "\"dead_lettered\":20,\"duplicate\":30,\"shed\":0,\"in_flight\":50,\"conserved\":true,\"flagged\":0,"
    "\"received_bytes\":247000000,\"enriched_bytes\":612000000,\"drops\":{\"json_syntax\":15,\"field_"
    "missing\":5,"
    "\"duplicate\":30},\"dedup\":{\"mode\":\"drop\",\"slots\":4194304,\"entries\":1048576,\"load\":0.25,"
    "\"window_ms\":600000,\"covered_ms\":600000,\"evicted\":0,\"alarm\":false},\"enrich\":[{\"dimension\":"
    "\"products\","
    "\"as\":\"product_details\",\"hits\":900,\"misses\":100}]}],\"sources\":[{\"name\":\"nic0/"
    "0\",\"type\":\"ethdev\","
    "\"device\":\"net_af_xdp\",\"worker\":0,\"packets\":1000,\"bytes\":300000,\"missed\":1,\"errors\":2,"
    "\"recoveries\":3,"
    "\"steer\":{\"redirected\":990,\"passed\":10}}],\"workers\":[{\"worker\":0,\"lcore\":1,\"cpu\":1,"
    "\"loops\":%d,"
    "\"busy_loops\":%d,\"packets\":1000,\"packet_bytes\":300000,\"batches\":7,\"batches_free\":14,\"batches_"
    "size\":16,"
    "\"stages\":[{\"stage\":\"parse\",\"events\":%d,\"cycles\":%d,\"ns_per_event\":50.0},{\"stage\":"
    "\"dedup\","
    "\"events\":1000,\"cycles\":40000,\"ns_per_event\":20.0}],\"drops\":{\"frame_unknown_port\":4}}],"
    "\"dimensions\":["
    "{\"name\":\"products\",\"required\":true,\"loaded\":true,\"version\":\"v\\\"7\",\"rows\":1000000,"
    "\"bytes\":104857600,"
    "\"built_ms\":1750000000000,\"age_s\":3600,\"hits\":900,\"misses\":100,\"previous\":[\"v6\"]},{\"name\":"
    "\"users\","
    "\"required\":false,\"loaded\":false,\"rows\":0,\"bytes\":0,\"hits\":0,\"misses\":0,\"previous\":[]}],"
    "\"sinks\":["
    "{\"type\":\"kafka\",\"records\":2000,\"bytes\":800000,\"retries\":1,\"bootstrap\":\"127.0.0.1:9092\"}],"
    "\"alarms\":[{\"name\":\"dedup_window_short\",\"stream\":\"catalog\",\"text\":\"raise budget_mb\"}],"
    "\"memory\":{\"rss_bytes\":734003200,\"mbufs_free\":16000,\"mbufs_size\":16384}}";

static json_t *fake_status(void *context)
{
	struct fake_daemon *fake = context;
	int n = atomic_fetch_add(&fake->looks, 1);
	char text[4096];

	(void)snprintf(text, sizeof(text), canned, 1234567 + 1000 * n, 1234467 + 1000 * n, 1000000 + 100 * n,
	    500000 + 25 * n, 1000 + 1000 * n, 100000 + 100000 * n);
	return json_loads(text, 0, NULL);
}

static int fake_ready(void *context, struct error *err)
{
	struct fake_daemon *fake = context;

	return atomic_load(&fake->ready)
	           ? 0
	           : error_set(err, -EAGAIN, "the dimension \"products\" has no snapshot");
}

static json_t *fake_dim_list(void *context)
{
	json_t *status = fake_status(context), *list = json_incref(json_object_get(status, "dimensions"));

	json_decref(status);
	return list;
}

struct fake_change {
	char path[256]; /* "": a rollback */
};

static int fake_dim_begin(void *context, const char *name, const char *path, void **out, struct error *err)
{
	struct fake_change *change;

	(void)context;
	if (strcmp(name, "products") != 0 && path != NULL)
		return error_set(err, -ENOENT, "no dimension is called \"%s\"", name);
	if (strcmp(name, "products") != 0)
		return error_set(err, -ENOENT, "there is no version of \"%s\" before this one", name);
	change = calloc(1, sizeof(*change));
	if (change == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	(void)snprintf(change->path, sizeof(change->path), "%s", path != NULL ? path : "");
	*out = change;
	return 0;
}

static int fake_dim_load(void *context, void *loaded, struct error *err)
{
	struct fake_daemon *fake = context;
	const struct fake_change *change = loaded;
	char byte;
	ssize_t n;
	int fd;

	atomic_fetch_add(&fake->loads, 1);
	if (atomic_load(&fake->held) && read(fake->hold_fds[0], &byte, 1) != 1)
		abort();
	if (change->path[0] == '\0')
		return 0;
	fd = open(change->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", change->path, strerror(errno));
	n = read(fd, fake->pushed, sizeof(fake->pushed) - 1);
	(void)close(fd);
	fake->pushed[n < 0 ? 0 : n] = '\0';
	if (strncmp(fake->pushed, "bad", 3) == 0)
		return error_set(err, -EBADMSG, "the checksum of the rows is wrong");
	return 0;
}

static int fake_dim_end(void *context, void *loaded, int code, json_t **result, struct error *err)
{
	struct fake_daemon *fake = context;
	struct fake_change *change = loaded;
	bool rollback = change->path[0] == '\0';

	(void)err;
	free(change);
	if (code != 0)
		return code;
	atomic_fetch_add(&fake->pushes, !rollback);
	*result = rollback
	              ? json_pack("{s:s, s:s, s:i}", "name", "products", "version", "v6", "rows", 999999)
	              : json_pack("{s:s, s:s, s:i}", "name", "products", "version", "v8", "rows", 1000001);
	return 0;
}

static json_t *fake_source_list(void *context)
{
	(void)context;
	return json_pack("[{s:s, s:b, s:I, s:I, s:[i, i]}, {s:s, s:b, s:I, s:I, s:[]}]", "id", "42",
	    "revoked", 0, "rate", (json_int_t)1000, "burst", (json_int_t)0, "key_ids", 1, 2, "id",
	    "18446744073709551615", "revoked", 1, "rate", (json_int_t)0, "burst", (json_int_t)0, "key_ids");
}

static int fake_source_add(
    void *context, const char *id, const json_t *request, json_t **result, struct error *err)
{
	(void)context;
	if (strcmp(id, "43") == 0)
		return error_set(err, -ENOSPC, "no more fit");
	*result = json_pack("{s:s, s:b, s:O?, s:i, s:[i]}", "id", id, "revoked", 0, "rate",
	    json_object_get(request, "rate"), "burst", 0, "key_ids", 7);
	return 0;
}

static int fake_source_revoke(void *context, const char *id, json_t **result, struct error *err)
{
	(void)context;
	if (strcmp(id, "42") != 0)
		return error_set(err, -ENOENT, "source %s is not listed", id);
	*result =
	    json_pack("{s:s, s:b, s:i, s:i, s:[]}", "id", id, "revoked", 1, "rate", 0, "burst", 0, "key_ids");
	return 0;
}

static int fake_drain(void *context, struct error *err)
{
	struct fake_daemon *fake = context;

	(void)err;
	fake->drained = true;
	return 0;
}

void fake_daemon_loop(struct fake_daemon *fake)
{
	struct pollfd fds[2] = {{.fd = control_server_fd(fake->server), .events = POLLIN},
	    {.fd = fake->stop_fd, .events = POLLIN}};
	int rounds = 20; /* after a drain: until the answer is out */

	while (rounds > 0) {
		int timeout = control_server_timeout_ms(fake->server);

		if (poll(fds, 2, fake->drained ? 10 : timeout) < 0 && errno != EINTR)
			break;
		if (fds[1].revents != 0)
			break;
		control_server_run(fake->server);
		if (fake->drained && !control_server_finish_changes(fake->server))
			rounds--;
	}
}

static void *run(void *context)
{
	fake_daemon_loop(context);
	return NULL;
}

void fake_daemon_start(struct fake_daemon *fake, bool tcp, bool threaded)
{
	struct control_server_options options = {.http_host = tcp ? "127.0.0.1" : NULL, .http_port = 0};
	struct error err;

	memset(fake, 0, sizeof(*fake));
	(void)strcpy(fake->directory, "/tmp/penstock-fake-XXXXXX");
	if (mkdtemp(fake->directory) == NULL)
		abort();
	(void)snprintf(fake->socket, sizeof(fake->socket), "%s/control.sock", fake->directory);
	atomic_store(&fake->ready, true);
	fake->stop_fd = eventfd(0, EFD_CLOEXEC);
	fake->backend = (struct control_backend){.status = fake_status,
	    .ready = fake_ready,
	    .dim_list = fake_dim_list,
	    .dim_begin = fake_dim_begin,
	    .dim_load = fake_dim_load,
	    .dim_end = fake_dim_end,
	    .source_list = fake_source_list,
	    .source_add = fake_source_add,
	    .source_revoke = fake_source_revoke,
	    .drain = fake_drain,
	    .context = fake};
	options.socket = fake->socket;
	options.upload_directory = fake->directory;
	options.backend = &fake->backend;
	if (fake->stop_fd < 0 || pipe2(fake->hold_fds, O_CLOEXEC) != 0 ||
	    control_server_create(&options, &fake->server, &err) < 0) {
		(void)fprintf(stderr, "fake daemon: %s\n", err.text);
		abort();
	}
	fake->threaded = threaded;
	if (threaded && pthread_create(&fake->thread, NULL, run, fake) != 0)
		abort();
}

void fake_daemon_release(struct fake_daemon *fake, int n)
{
	while (n-- > 0)
		if (write(fake->hold_fds[1], "", 1) != 1)
			abort();
}

void fake_daemon_stop(struct fake_daemon *fake)
{
	uint64_t one = 1;

	if (fake->threaded && write(fake->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort();
	if (fake->threaded)
		(void)pthread_join(fake->thread, NULL);
	control_server_destroy(fake->server);
	(void)close(fake->stop_fd);
	(void)close(fake->hold_fds[0]);
	(void)close(fake->hold_fds[1]);
	/* Fails, and so shows, if the server has left anything behind. */
	if (rmdir(fake->directory) < 0) {
		perror(fake->directory);
		abort();
	}
}
