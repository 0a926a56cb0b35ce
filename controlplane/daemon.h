/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon: a configuration brought to life. daemon_start() runs one ordered table of steps
 * (daemon_steps.c); whatever fails is torn down in reverse order, so nothing ever runs half-configured.
 * daemon_run() is the control thread's loop.
 *
 * Control thread only.
 */
#ifndef PENSTOCK_DAEMON_H
#define PENSTOCK_DAEMON_H

#include "control_server.h"
#include "dimension_store.h"
#include "engine.h"
#include "journal_feeder.h"
#include "journal_reconcile.h"
#include "sink_thread.h"
#include "source_store.h"
#include "source_ethdev.h"
#include "window_store.h"
#include "worker.h"

#include <jansson.h>
#include <stdbool.h>

#define DAEMON_MAX_ENDPOINTS (CONFIG_MAX_SOURCES * 16u)

enum daemon_state { DAEMON_STARTING, DAEMON_RESTORING, DAEMON_WAITING, DAEMON_READY, DAEMON_DRAINING };

/* One receive endpoint and the worker that polls it. */
struct endpoint {
	struct source *source;
	struct ethdev *ethdev; /* NULL: not a queue of a port */
	uint16_t worker;
	const struct config_source *config;
	bool broken; /* and the log says so */
};

struct daemon_options {
	const char *config_path;
	bool once;         /* drain and exit at the end of the sources, which must all be files */
	bool no_hugepages; /* for packets, where the configuration says "auto" */
};

struct daemon {
	struct daemon_options options;
	struct config *config;
	const struct clock *clock;
	enum daemon_state state;
	int64_t started_ms, state_since_ms;
	uint64_t started_ns;
	uint32_t steps_done;

	int lock_fd;   /* the state directory's lock: one daemon at a time */
	int signal_fd; /* SIGTERM, SIGINT, SIGHUP */
	int timer_fd;  /* every 50 ms: port checks, readiness, alarms */
	int epoll_fd;

	struct engine *engine;
	struct dimension_store *store;
	struct source_store *sources;
	struct window_store *windows;
	bool restored; /* the windows are complete */
	bool failed;   /* they never will be, for this reason: */
	struct error failure;
	uint8_t secret[16]; /* that identities are hashed with; from the engine's step to the windows' */
	bool secret_is_new;
	struct journal *journal;                     /* NULL: durability is not journal */
	struct journal_feeder *feeder;               /* likewise */
	struct journal_reconcile *reconcile;         /* NULL: there is nothing to reconcile */
	bool reconciled;                             /* the feeder knows */
	uint64_t damage_told;                        /* of the journal, in the log */
	struct sink_thread *sinks[ENGINE_MAX_SINKS]; /* with a journal it comes first */
	bool sinks_stopped;                          /* those behind the journal, and its feeder */
	uint32_t n_sinks;
	struct ethdev *ethdevs[CONFIG_MAX_SOURCES];
	uint32_t n_ethdevs;
	struct endpoint endpoints[DAEMON_MAX_ENDPOINTS];
	uint32_t n_endpoints;
	struct worker *workers[ENGINE_MAX_WORKERS];
	uint32_t n_workers, n_launched;
	struct control_backend backend;
	struct control_server *server;
	bool drain_requested;
	uint8_t leak_ticks[CONFIG_MAX_STREAMS]; /* ticks for which nothing was with a sink but in_flight was
	                                           not 0 */

	/* scratch for sums; the control thread is the only reader */
	struct worker_ledger *worker_ledgers;
	struct sink_ledger *sink_ledgers;
};

/* 0, or -errno with the reason in err; then nothing is left running. -ERESTART: try again in a new process,
 * with no_hugepages. */
int daemon_start(const struct daemon_options *options, struct daemon **out, struct error *err);

/* Serves until SIGTERM, SIGINT, a drain request, or (with `once`) the end of the input; then drains. 0:
 * everything that was received is durable, dead-lettered, a duplicate or counted as shed before; -ETIMEDOUT:
 * the sinks did not take everything before the drain deadline; with `once` -EIO: a source could not be read
 * to its end. */
int daemon_run(struct daemon *daemon, struct error *err);

/* NULL is allowed. */
void daemon_destroy(struct daemon *daemon);

/* What `penstock status` shows. The caller owns the reference. */
json_t *daemon_status(struct daemon *daemon);

/* So many ticks of a leak make an alarm: a sink publishes what it has confirmed within a few milliseconds. */
#define DAEMON_LEAK_TICKS 20u

/* One line of the ledger per stream, summed now. */
void daemon_ledger(struct daemon *daemon, struct ledger_line lines[CONFIG_MAX_STREAMS]);

#endif
