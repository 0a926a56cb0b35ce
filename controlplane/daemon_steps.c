/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon_start() and daemon_destroy(): one ordered table of steps, undone in reverse. */
#include "daemon.h"

#include "daemon_sinks.h"
#include "eal.h"
#include "identity_secret.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCHES_PER_WORKER 64u
#define TICK_NS (50 * 1000 * 1000)

/* ---- the configuration ---- */

static int start_config(struct daemon *d, struct error *err)
{
	int ret = config_load(d->options.config_path, &d->config, err);

	for (size_t i = 0; ret == 0 && d->options.once && i < d->config->n_sources; i++)
		if (d->config->sources[i].type != SOURCE_FILE)
			ret =
			    error_set(err, -EINVAL, "--once: the source \"%s\" has no end: it is not a file",
			        d->config->sources[i].name);
	if (ret != 0)
		config_free(d->config);
	return ret;
}

static void stop_config(struct daemon *d)
{
	config_free(d->config);
}

/* ---- signals: blocked before any thread exists, so that only the control thread sees them ---- */

static int start_signals(struct daemon *d, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return error_set(err, -errno, "sigprocmask: %s", strerror(errno));
	(void)signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signal_fd < 0)
		return error_set(err, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

static void stop_signals(struct daemon *d)
{
	close(d->signal_fd);
}

/* ---- the state directory: one daemon at a time ---- */

static int start_lock(struct daemon *d, struct error *err)
{
	const char *directory = d->config->control.state_directory;
	char path[4096];

	if (mkdir(directory, 0750) != 0 && errno != EEXIST)
		return error_set(err, -errno, "control.state: %s: %s", directory, strerror(errno));
	if ((size_t)snprintf(path, sizeof(path), "%s/lock", directory) >= sizeof(path))
		return error_set(err, -ENAMETOOLONG, "control.state: %s: path too long", directory);
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (d->lock_fd < 0)
		return error_set(err, -errno, "control.state: %s: %s", path, strerror(errno));
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		close(d->lock_fd);
		return error_set(err, -EBUSY, "control.state: %s is in use by another penstockd", directory);
	}
	return 0;
}

static void stop_lock(struct daemon *d)
{
	close(d->lock_fd);
}

/* ---- DPDK ---- */

static int start_eal(struct daemon *d, struct error *err)
{
	bool huge = !d->options.no_hugepages;
	int ret = eal_start(d->config, &huge, err);

	if (ret != 0)
		return ret;
	if (!huge && d->config->dataplane.hugepages == HUGEPAGES_AUTO)
		log_line(LOG_WARNING,
		    "packets are not in hugepages: %u MB wanted, %llu MB of 2 MB pages are free (raise "
		    "vm.nr_hugepages)",
		    d->config->dataplane.memory_mb, (unsigned long long)(eal_free_hugepage_bytes() >> 20));
	return 0;
}

static void stop_eal(struct daemon *d)
{
	(void)d;
	(void)rte_eal_cleanup();
}

/* ---- engine ---- */

static int start_engine(struct daemon *d, struct error *err)
{
	struct engine_options options = {
	    .n_workers = (uint32_t)d->config->dataplane.n_lcores,
	    .n_sinks = daemon_engine_sinks(d->config),
	    .batches_per_worker = BATCHES_PER_WORKER,
	    .node = (int)rte_lcore_to_socket_id(d->config->dataplane.lcores[0].id),
	    .restoring = true,
	    .clock = d->clock,
	};
	char identities[4096];
	int ret;

	if ((size_t)snprintf(identities, sizeof(identities), "%s/identities",
	        d->config->control.state_directory) >= sizeof(identities))
		return error_set(err, -ENAMETOOLONG, "control.state: %s: path too long",
		    d->config->control.state_directory);
	ret = identity_secret_load(identities, options.secret, &d->secret_is_new, err);
	if (ret != 0)
		return ret;
	memcpy(d->secret, options.secret, sizeof(d->secret));
	ret = engine_create(d->config, &options, &d->engine, err);
	if (ret != 0)
		return error_prefix(err, ret, "%s", d->config->path);
	d->worker_ledgers = calloc(options.n_workers, sizeof(*d->worker_ledgers));
	d->sink_ledgers = calloc(ENGINE_MAX_SINKS, sizeof(*d->sink_ledgers));
	if (d->worker_ledgers == NULL || d->sink_ledgers == NULL) {
		free(d->worker_ledgers);
		free(d->sink_ledgers);
		engine_destroy(d->engine);
		return error_set(err, -ENOMEM, "no memory for the ledger");
	}
	return 0;
}

static void stop_engine(struct daemon *d)
{
	free(d->worker_ledgers);
	free(d->sink_ledgers);
	engine_destroy(d->engine);
}

/* ---- what was seen before the restart ---- */

static int start_windows(struct daemon *d, struct error *err)
{
	int ret = window_store_open(
	    d->config, d->engine, d->journal, d->secret, d->secret_is_new, &d->windows, err);

	explicit_bzero(d->secret, sizeof(d->secret));
	return ret;
}

static void stop_windows(struct daemon *d)
{
	window_store_close(d->windows);
}

static int start_restore(struct daemon *d, struct error *err)
{
	return window_store_start(d->windows, err);
}

static void stop_restore(struct daemon *d)
{
	daemon_feeder_stop(d); /* restoring itself ends with the windows */
}

/* ---- dimensions ---- */

static int start_store(struct daemon *d, struct error *err)
{
	return dimension_store_open(d->config->control.state_directory, d->engine, -1, &d->store, err);
}

static void stop_store(struct daemon *d)
{
	dimension_store_close(d->store);
}

/* ---- the senders that are listed ---- */

static int start_source_store(struct daemon *d, struct error *err)
{
	return source_store_open(d->config->control.state_directory, d->engine, &d->sources, err);
}

static void stop_source_store(struct daemon *d)
{
	source_store_close(d->sources);
}

/* ---- sources ---- */

static void stop_sources(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_endpoints; i++)
		source_destroy(d->endpoints[i].source);
	for (uint32_t i = 0; i < d->n_ethdevs; i++)
		ethdev_close(d->ethdevs[i]);
	d->n_endpoints = 0;
	d->n_ethdevs = 0;
}

/* Endpoints go to the workers in turn. */
static int add_endpoint(struct daemon *d, struct source *source, struct ethdev *ethdev,
    const struct config_source *config, struct error *err)
{
	if (d->n_endpoints == DAEMON_MAX_ENDPOINTS) {
		source_destroy(source);
		return error_set(err, -ENOSPC, "more than %u receive queues and files", DAEMON_MAX_ENDPOINTS);
	}
	d->endpoints[d->n_endpoints] = (struct endpoint){
	    .source = source,
	    .ethdev = ethdev,
	    .worker = (uint16_t)(d->n_endpoints % d->engine->n_workers),
	    .config = config,
	};
	d->n_endpoints++;
	return 0;
}

/* Every packet of such a worker is read across the link between the nodes. */
static void warn_far_workers(const struct daemon *d, const struct ethdev *ethdev, const char *name)
{
	int node = ethdev_node(ethdev);

	for (uint32_t i = 0; i < d->n_endpoints && node >= 0; i++) {
		const struct config_lcore *lcore = &d->config->dataplane.lcores[d->endpoints[i].worker];

		if (d->endpoints[i].ethdev == ethdev && (int)rte_lcore_to_socket_id(lcore->id) != node)
			log_line(LOG_WARNING,
			    "source %s: the card is on NUMA node %d, CPU %u of its worker on node %u", name,
			    node, lcore->cpu, rte_lcore_to_socket_id(lcore->id));
	}
}

static int open_ethdev(struct daemon *d, const struct config_source *config, struct error *err)
{
	uint16_t ports[CONFIG_MAX_STREAMS];
	struct ethdev_options options = {.udp_ports = ports, .node = -1};
	struct ethdev *ethdev = NULL;
	char line[256];
	int ret;

	for (size_t s = 0; s < d->config->n_streams; s++)
		if (d->config->streams[s].udp_port != 0)
			ports[options.n_udp_ports++] = d->config->streams[s].udp_port;
	ret = ethdev_open(config, &options, &ethdev, err);
	if (ret != 0)
		return ret;
	d->ethdevs[d->n_ethdevs++] = ethdev;
	ethdev_describe(ethdev, line, sizeof(line));
	log_line(LOG_INFO, "source %s: %s", config->name, line);
	for (uint16_t q = 0; ret == 0 && q < ethdev_queues(ethdev); q++)
		ret = add_endpoint(d, ethdev_source(ethdev, q), ethdev, config, err);
	warn_far_workers(d, ethdev, config->name);
	return ret;
}

static int start_sources(struct daemon *d, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < d->config->n_sources; i++) {
		const struct config_source *config = &d->config->sources[i];
		struct source *source;

		if (config->type == SOURCE_ETHDEV) {
			ret = open_ethdev(d, config, err);
		} else {
			ret = source_file_create(config->name, config->path,
			    (uint16_t)config_find_stream(d->config, config->stream), &source, err);
			if (ret == 0)
				ret = add_endpoint(d, source, NULL, config, err);
			if (ret != 0)
				error_prefix(err, ret, "source %s", config->name);
		}
	}
	if (ret != 0)
		stop_sources(d);
	return ret;
}

/* ---- workers ---- */

static void stop_workers(struct daemon *d)
{
	for (uint32_t w = 0; w < d->n_workers; w++)
		worker_destroy(d->workers[w]);
	d->n_workers = 0;
}

static int start_workers(struct daemon *d, struct error *err)
{
	int ret = 0;

	for (uint32_t w = 0; ret == 0 && w < d->engine->n_workers; w++) {
		ret = worker_create(d->engine, (uint16_t)w, &d->workers[w], err);
		if (ret != 0)
			break;
		d->n_workers++;
		d->workers[w]->lingers = true;
		for (uint32_t other = 0; other < d->engine->n_workers; other++)
			if (other != w &&
			    d->config->dataplane.lcores[other].cpu == d->config->dataplane.lcores[w].cpu)
				d->workers[w]->yields = true;
		for (uint32_t i = 0; ret == 0 && i < d->n_endpoints; i++)
			if (d->endpoints[i].worker == w &&
			    worker_add_source(d->workers[w], d->endpoints[i].source) != 0)
				ret = error_set(
				    err, -ENOSPC, "more than %u sources for one worker", WORKER_MAX_SOURCES);
	}
	if (ret != 0)
		stop_workers(d);
	return ret;
}

/* ---- the control server ---- */

static json_t *backend_status(void *context)
{
	return daemon_status(context);
}

static int backend_ready(void *context, struct error *err)
{
	static const char *const why[] = {[DAEMON_STARTING] = "starting",
	    [DAEMON_RESTORING] = "restoring the dedup windows",
	    [DAEMON_WAITING] = NULL,
	    [DAEMON_READY] = NULL,
	    [DAEMON_DRAINING] = "draining"};
	struct daemon *d = context;
	const char *missing;

	if (d->state == DAEMON_READY)
		return 0;
	if (why[d->state] != NULL)
		return error_set(err, -EAGAIN, "%s", why[d->state]);
	(void)engine_dimensions_ready(d->engine, &missing);
	return error_set(err, -EAGAIN, "waiting for dimension \"%s\"", missing != NULL ? missing : "?");
}

/* The upload's name says nothing to whoever sent it. */
static void forget_path(struct error *err, const char *path)
{
	size_t len = strlen(path);

	if (strncmp(err->text, path, len) == 0 && strncmp(err->text + len, ": ", 2) == 0)
		memmove(err->text, err->text + len + 2, strlen(err->text + len + 2) + 1);
}

static int backend_dim_begin(void *context, const char *name, const char *path, void **out, struct error *err)
{
	struct daemon *d = context;
	struct dimension_change *change;
	int ret = dimension_store_begin(d->store, name, path, &change, err);

	*out = change;
	if (ret != 0 && path != NULL)
		log_line(LOG_WARNING, "dimension \"%s\": push refused: %s", name, err->text);
	return ret;
}

static int backend_dim_load(void *context, void *change, struct error *err)
{
	(void)context;
	return dimension_change_load(change, err);
}

static int backend_dim_end(void *context, void *loaded, int code, json_t **result, struct error *err)
{
	struct daemon *d = context;
	struct dimension_change *change = loaded;

	if (code == 0) {
		dimension_store_commit(d->store, change, result);
		log_line(LOG_INFO, "dimension \"%s\": %sversion %s, %lld rows", change->name,
		    change->rollback ? "rolled back to " : "",
		    json_string_value(json_object_get(*result, "version")),
		    (long long)json_integer_value(json_object_get(*result, "rows")));
	} else if (!change->rollback) {
		forget_path(err, change->path);
		log_line(LOG_WARNING, "dimension \"%s\": push refused: %s", change->name, err->text);
	}
	dimension_change_free(change);
	return code;
}

static json_t *backend_dim_list(void *context)
{
	json_t *status = daemon_status(context);
	json_t *dimensions = json_incref(json_object_get(status, "dimensions"));

	json_decref(status);
	return dimensions;
}

static json_t *backend_source_list(void *context)
{
	struct daemon *d = context;

	return source_store_list(d->sources);
}

static int backend_source_add(
    void *context, const char *id, const json_t *request, json_t **result, struct error *err)
{
	struct daemon *d = context;
	int ret = source_store_add(d->sources, id, request, result, err);

	if (ret == 0)
		log_line(LOG_INFO, "source %s: listed, %zu key(s)", id,
		    json_array_size(json_object_get(*result, "key_ids")));
	return ret;
}

static int backend_source_revoke(void *context, const char *id, json_t **result, struct error *err)
{
	struct daemon *d = context;
	int ret = source_store_revoke(d->sources, id, result, err);

	if (ret == 0)
		log_line(LOG_INFO, "source %s: revoked", id);
	return ret;
}

static int backend_drain(void *context, struct error *err)
{
	struct daemon *d = context;

	(void)err;
	d->drain_requested = true;
	return 0;
}

static int start_server(struct daemon *d, struct error *err)
{
	struct control_server_options options = {
	    .socket = d->config->control.socket,
	    .http_host = d->config->control.http_host,
	    .http_port = d->config->control.http_port,
	    .upload_directory = d->config->control.state_directory,
	    .backend = &d->backend,
	};

	d->backend = (struct control_backend){
	    .status = backend_status,
	    .ready = backend_ready,
	    .dim_list = backend_dim_list,
	    .dim_begin = backend_dim_begin,
	    .dim_load = backend_dim_load,
	    .dim_end = backend_dim_end,
	    .source_list = backend_source_list,
	    .source_add = backend_source_add,
	    .source_revoke = backend_source_revoke,
	    .drain = backend_drain,
	    .context = d,
	};
	return control_server_create(&options, &d->server, err);
}

static void stop_server(struct daemon *d)
{
	control_server_destroy(d->server);
}

/* ---- the control thread's events ---- */

static int watch(struct daemon *d, int fd, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		return error_set(err, -errno, "epoll_ctl: %s", strerror(errno));
	return 0;
}

static void stop_events(struct daemon *d)
{
	close(d->timer_fd);
	close(d->epoll_fd);
}

static int start_events(struct daemon *d, struct error *err)
{
	const struct itimerspec period = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
	int ret;

	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->epoll_fd < 0 || d->timer_fd < 0 || timerfd_settime(d->timer_fd, 0, &period, NULL) != 0) {
		ret = error_set(err, -errno, "epoll and timer: %s", strerror(errno));
		goto err;
	}
	ret = watch(d, d->signal_fd, err);
	if (ret == 0)
		ret = watch(d, d->timer_fd, err);
	if (ret == 0)
		ret = watch(d, control_server_fd(d->server), err);
	if (ret == 0)
		return 0;
err:
	stop_events(d);
	return ret;
}

/* ---- launch ---- */

static void stop_launch(struct daemon *d)
{
	for (uint32_t w = 0; w < d->n_launched; w++) {
		worker_stop(d->workers[w], true);
		worker_leave(d->workers[w]);
	}
	rte_eal_mp_wait_lcore();
	d->n_launched = 0;
	/* The engine's rings are empty of owners from here on: sinks confirm or give up what they hold. */
	(void)daemon_sinks_stop(d, clock_mono_ns(d->clock), NULL);
}

static int start_launch(struct daemon *d, struct error *err)
{
	for (uint32_t w = 0; w < d->n_workers; w++) {
		int ret = rte_eal_remote_launch(worker_run, d->workers[w], d->config->dataplane.lcores[w].id);

		if (ret != 0) {
			stop_launch(d);
			return error_set(
			    err, ret, "lcore %u did not start", d->config->dataplane.lcores[w].id);
		}
		d->n_launched++;
	}
	return 0;
}

static const struct step {
	const char *name;
	int (*start)(struct daemon *d, struct error *err);
	void (*stop)(struct daemon *d);
} steps[] = {
    {"configuration", start_config, stop_config},
    {"signals", start_signals, stop_signals},
    {"lock", start_lock, stop_lock},
    {"eal", start_eal, stop_eal},
    {"engine", start_engine, stop_engine},
    {"journal", daemon_journal_open, daemon_journal_close},
    {"windows", start_windows, stop_windows},
    {"sinks", daemon_sinks_start, daemon_sinks_destroy},
    {"dimensions", start_store, stop_store},
    {"senders", start_source_store, stop_source_store},
    {"sources", start_sources, stop_sources},
    {"workers", start_workers, stop_workers},
    {"control", start_server, stop_server},
    {"events", start_events, stop_events},
    {"restore", start_restore, stop_restore},
    {"launch", start_launch, stop_launch},
};

int daemon_start(const struct daemon_options *options, struct daemon **out, struct error *err)
{
	struct daemon *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (d == NULL)
		return error_set(err, -ENOMEM, "no memory");
	d->options = *options;
	d->clock = &system_clock;
	d->started_ms = d->state_since_ms = clock_wall_ms(d->clock);
	d->started_ns = clock_mono_ns(d->clock);
	for (; d->steps_done < sizeof(steps) / sizeof(steps[0]); d->steps_done++) {
		int ret = steps[d->steps_done].start(d, err);

		if (ret != 0) {
			daemon_destroy(d);
			return ret;
		}
	}
	*out = d;
	return 0;
}

void daemon_destroy(struct daemon *d)
{
	if (d == NULL)
		return;
	while (d->steps_done > 0)
		steps[--d->steps_done].stop(d);
	free(d);
}
