/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon_run(): the control thread's loop, and the drain at its end. Starting is in daemon_steps.c. */
#include "daemon.h"

#include "daemon_sinks.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define MAX_EVENTS 16
#define FAREWELL_NS (100u * 1000 * 1000) /* so long are senders told of the end before it begins */

static void set_state(struct daemon *d, enum daemon_state state)
{
	d->state = state;
	d->state_since_ms = clock_wall_ms(d->clock);
}

/* Takes note once that the windows are as they were, or cannot be. */
static void check_windows(struct daemon *d)
{
	struct error err;
	char line[512];

	if (d->restored || d->failed)
		return;
	switch (window_store_state(d->windows, &err)) {
	case WINDOW_RESTORING:
		if (d->state == DAEMON_STARTING) {
			set_state(d, DAEMON_RESTORING);
			(void)sd_notify(0, "STATUS=restoring the dedup windows");
		}
		return;
	case WINDOW_READY:
		window_store_summary(d->windows, line, sizeof(line));
		log_line(LOG_INFO, "%s", line);
		if (daemon_feeder_start(d, &d->failure) != 0) {
			d->failed = true;
			return;
		}
		d->restored = true;
		engine_restored(d->engine);
		return;
	case WINDOW_FAILED:
		d->failure = err;
		d->failed = true;
		return;
	}
}

/* Waiting or ready, as the required dimensions allow; says so once per change. */
static void update_readiness(struct daemon *d)
{
	const char *missing;
	bool ready = engine_dimensions_ready(d->engine, &missing);

	check_windows(d);
	if (!d->restored)
		return;
	if (ready &&
	    (d->state == DAEMON_STARTING || d->state == DAEMON_RESTORING || d->state == DAEMON_WAITING)) {
		set_state(d, DAEMON_READY);
		log_line(LOG_INFO, "ready");
		(void)sd_notify(0, "READY=1\nSTATUS=ready");
	} else if (!ready && (d->state == DAEMON_STARTING || d->state == DAEMON_RESTORING)) {
		set_state(d, DAEMON_WAITING);
		log_line(LOG_INFO, "waiting for dimension \"%s\": push a snapshot with penstock dim push",
		    missing);
		(void)sd_notifyf(0, "STATUS=waiting for dimension %s", missing);
	}
}

static void check_leaks(struct daemon *d)
{
	struct ledger_line lines[CONFIG_MAX_STREAMS];

	if (!engine_idle(d->engine)) {
		memset(d->leak_ticks, 0, sizeof(d->leak_ticks));
		return;
	}
	daemon_ledger(d, lines);
	for (uint16_t s = 0; s < d->engine->n_streams; s++)
		if (lines[s].in_flight == 0)
			d->leak_ticks[s] = 0;
		else if (d->leak_ticks[s] < DAEMON_LEAK_TICKS)
			d->leak_ticks[s]++;
}

/* Says once of each source that it has broken. */
static void check_sources(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_endpoints; i++) {
		struct endpoint *e = &d->endpoints[i];

		if (e->broken || !atomic_load_explicit(&e->source->broken, memory_order_acquire))
			continue;
		e->broken = true;
		log_line(LOG_ERROR, "source %s", e->source->error.text);
	}
}

static void tick(struct daemon *d)
{
	uint64_t expirations;
	struct error err;

	(void)!read(d->timer_fd, &expirations, sizeof(expirations));
	for (uint32_t i = 0; i < d->n_ethdevs; i++)
		if (ethdev_check(d->ethdevs[i], clock_mono_ns(d->clock), &err) != 0)
			log_line(LOG_WARNING, "%s", err.text);
	transport_tick(d->engine->transport, clock_mono_ns(d->clock));
	check_sources(d);
	daemon_journal_tick(d);
	check_leaks(d);
	update_readiness(d);
	if (d->restored && daemon_reconcile_tick(d, &d->failure) != 0)
		d->failed = true;
}

static bool input_ended(const struct daemon *d)
{
	for (uint32_t w = 0; w < d->n_workers; w++)
		if (!worker_ended(d->workers[w]))
			return false;
	return true;
}

/* Whether the signal asks for the end. */
static bool take_signal(const struct daemon *d)
{
	struct signalfd_siginfo info;

	if (read(d->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	if (info.ssi_signo == SIGHUP) {
		log_line(
		    LOG_WARNING, "%s: ignored, a configuration is read at start only", strsignal(SIGHUP));
		return false;
	}
	log_line(LOG_INFO, "%s: draining", strsignal((int)info.ssi_signo));
	return true;
}

/* Waits for events of the control plane for at most timeout_ms and serves them. Returns whether the loop
 * should end. */
static bool serve(struct daemon *d, int timeout_ms)
{
	struct epoll_event events[MAX_EVENTS];
	int server_ms = control_server_timeout_ms(d->server);
	bool stop = false;
	int n;

	if (server_ms >= 0 && server_ms < timeout_ms)
		timeout_ms = server_ms;
	n = epoll_wait(d->epoll_fd, events, MAX_EVENTS, timeout_ms);

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == d->signal_fd) {
			stop = take_signal(d) || stop;
		} else if (events[i].data.fd == d->timer_fd) {
			tick(d);
		}
	}
	control_server_run(d->server);
	if (d->drain_requested && d->state != DAEMON_DRAINING) {
		log_line(LOG_INFO, "drain requested: draining");
		stop = true;
	}
	return stop;
}

static bool workers_running(const struct daemon *d)
{
	for (uint32_t w = 0; w < d->n_launched; w++)
		if (!worker_stopped(d->workers[w]))
			return true;
	return false;
}

/* What the journal holds goes to the sinks as far as the time reaches; the last quarter of it is for what is with
 * them then. The rest stays in the journal. */
static void deliver_journal(struct daemon *d, uint64_t deadline)
{
	uint64_t no_more = deadline - (uint64_t)d->config->control.drain_ms * 1000000 / 4;

	if (d->feeder == NULL || !d->restored)
		return;
	while (!journal_feeder_idle(d->feeder) && clock_mono_ns(d->clock) < no_more)
		(void)serve(d, 5);
	journal_feeder_pause(d->feeder);
	while (!journal_feeder_quiet(d->feeder) && clock_mono_ns(d->clock) < deadline)
		(void)serve(d, 5);
}

/* Stop receiving, finish, flush. */
static int drain(struct daemon *d, struct error *err)
{
	uint64_t deadline = clock_mono_ns(d->clock) + (uint64_t)d->config->control.drain_ms * 1000000;
	uint64_t farewell = clock_mono_ns(d->clock) + FAREWELL_NS;
	struct ledger_line lines[CONFIG_MAX_STREAMS];
	const char *missing;
	bool ready = engine_dimensions_ready(d->engine, &missing) && d->restored;
	int ret = 0;

	set_state(d, DAEMON_DRAINING);
	(void)sd_notify(0, "STOPPING=1\nSTATUS=draining");
	/* Who sends now hears that he should go elsewhere. */
	transport_drain(d->engine->transport);
	while (transport_in_use(d->engine->transport) && clock_mono_ns(d->clock) < farewell)
		(void)serve(d, 5);
	/* Without a required dimension or the windows nothing can be finished: what a file's worker holds is not received.
	 */
	for (uint32_t w = 0; w < d->n_launched; w++)
		worker_stop(d->workers[w], !ready);
	while (workers_running(d)) {
		if (clock_mono_ns(d->clock) > deadline)
			for (uint32_t w = 0; w < d->n_launched; w++)
				worker_stop(d->workers[w], true);
		(void)serve(d, 5);
	}
	while (!engine_idle(d->engine) && clock_mono_ns(d->clock) < deadline)
		(void)serve(d, 5);
	while (control_server_finish_changes(d->server))
		(void)serve(d, 5);
	deliver_journal(d, deadline);
	ret = daemon_sinks_stop(d, deadline, err);
	for (uint32_t w = 0; w < d->n_launched; w++)
		worker_leave(d->workers[w]);
	rte_eal_mp_wait_lcore();
	d->n_launched = 0;
	daemon_ledger(d, lines);
	for (uint16_t s = 0; s < d->engine->n_streams; s++) {
		const struct ledger_line *l = &lines[s];
		bool conserved = l->conserved && l->in_flight == 0;

		log_line(LOG_INFO,
		    "stream %s: conserved: %s received=%" PRIu64 " durable=%" PRIu64 " dead_lettered=%" PRIu64
		    " duplicate=%" PRIu64 " shed=%" PRIu64 " in_flight=%" PRIu64,
		    d->engine->streams[s].config->name, conserved ? "yes" : "no", l->received, l->durable,
		    l->dead_lettered, l->duplicate, l->shed, l->in_flight);
		if (!conserved)
			ret = error_set(err, -EIO, "stream \"%s\": the ledger does not balance",
			    d->engine->streams[s].config->name);
	}
	if (ret == -ETIMEDOUT)
		error_set(err, ret,
		    "the sinks did not take everything within control.drain: what they had not is counted as "
		    "shed");
	check_sources(d);
	for (uint32_t i = 0; d->options.once && ret == 0 && i < d->n_endpoints; i++)
		if (d->endpoints[i].broken)
			ret = error_set(err, -EIO, "the input was not read to its end: source %s",
			    d->endpoints[i].source->error.text);
	return ret;
}

int daemon_run(struct daemon *d, struct error *err)
{
	bool stop = false;
	int ret;

	update_readiness(d);
	while (!stop && !d->failed) {
		stop = serve(d, 100);
		if (d->options.once && d->state == DAEMON_READY && input_ended(d)) {
			log_line(LOG_INFO, "end of input: draining");
			stop = true;
		}
	}
	ret = drain(d, err);
	if (d->failed) {
		*err = d->failure;
		ret = error_prefix(err, -EIO, "the dedup windows cannot be restored");
	}
	return ret;
}
