/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A daemon without a data plane: the real control server over a backend that answers from a canned status.
 * Runs in a thread of the test, or as the program tests/cli/fake_penstockd.
 */
#ifndef PENSTOCK_FAKE_DAEMON_H
#define PENSTOCK_FAKE_DAEMON_H

#include "control_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct fake_daemon {
	char directory[64]; /* its own, removed at the end */
	char socket[96];
	struct control_backend backend;
	struct control_server *server;
	pthread_t thread;
	bool threaded;
	int stop_fd;        /* eventfd */
	_Atomic bool ready; /* test: rw, daemon: ro */
	_Atomic int pushes; /* daemon: rw, test: ro */
	_Atomic int looks;  /* status requests so far; daemon: rw, test: ro */
	bool drained;       /* daemon */
	_Atomic int loads;  /* snapshots and rollbacks that were begun to load; loader: rw, test: ro */
	_Atomic bool held;  /* test: rw; while it is set, loading waits for fake_daemon_release() */
	int hold_fds[2];    /* pipe */
	char pushed[64];    /* first bytes of the last snapshot; read after fake_daemon_stop() */
};

/* Makes a directory and starts the server. Aborts the program on failure: a test cannot go on. */
void fake_daemon_start(struct fake_daemon *fake, bool tcp, bool threaded);

/* The loop of the daemon's thread: returns when it is drained or stopped. */
void fake_daemon_loop(struct fake_daemon *fake);

/* Lets `n` held loads go on. */
void fake_daemon_release(struct fake_daemon *fake, int n);

void fake_daemon_stop(struct fake_daemon *fake);

#endif
