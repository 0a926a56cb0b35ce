/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network and appliances for tests of libpenstock: all of it in this process, on a clock that only the test moves,
 * every choice drawn from one seed. The network loses, delays, reorders, repeats and damages datagrams; appliances
 * crash and come back, drain, run out of credit, wait for what is behind them, and forget frames.
 *
 * The appliance here is a model of docs/protocol.md, written from it and not from the daemon. It also judges the client:
 * model_wrong() tells the first rule that the client broke.
 */
#ifndef PENSTOCK_CLIENT_MODEL_H
#define PENSTOCK_CLIENT_MODEL_H

#include "libpenstock/transport.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_SERVERS 3u
#define MODEL_MAX_EVENTS 65536u /* ids of events are below */

struct model;

/* Parts per 1000 unless said otherwise. */
struct model_faults {
	uint32_t loss, repeat, damage;
	uint32_t jitter_us;
	uint32_t forget;      /* frames that were received and are not, later */
	uint32_t socket_full; /* sends that take nothing */
	uint32_t slow_down;
};

struct model_options {
	uint64_t seed;
	uint32_t n_servers;
	uint32_t delay_us;   /* one way */
	uint32_t durable_us; /* from received to durable, at most */
	uint32_t window;     /* frames */
	uint16_t max_payload;
	uint64_t rate;      /* datagrams per second of the path to the appliances, 0: unlimited */
	uint32_t queue;     /* datagrams that wait for it, at most */
	const uint8_t *key; /* NULL: no MACs */
	size_t key_len;
	struct model_faults faults;
};

struct model *model_create(const struct model_options *options);
void model_destroy(struct model *model);

/* For client_open(); closing it does not destroy the model. "127.0.0.1:1" is the first server, and so on. */
struct transport model_transport(struct model *model);

uint64_t model_now_us(const struct model *model);
void model_advance(struct model *model, uint64_t us);
uint64_t model_random(struct model *model);
void model_set_faults(struct model *model, const struct model_faults *faults);

/* What befalls a server. */
void model_crash(struct model *model, uint32_t server, bool refuses); /* with an ICMP error, or in silence */
void model_start(struct model *model, uint32_t server);
void model_expire(struct model *model, uint32_t server);                         /* forgets its sessions */
void model_drain(struct model *model, uint32_t server, unsigned int error_code); /* 0: not any more */
void model_outage(struct model *model, uint32_t server, bool on);                /* nothing becomes durable */
void model_no_credit(struct model *model, uint32_t server, bool on);
void model_occupy(struct model *model, uint32_t server, uint64_t epoch); /* another sender's session */

/* Whether an event is durable on some server. */
uint32_t model_durable(const struct model *model, uint32_t id);
uint32_t model_dead(const struct model *model, uint32_t id);
/* The outcome that the model gives to an event that is not a duplicate: "" or the reason. */
const char *model_reason(uint32_t id);

/* The first rule that the client broke, or NULL. */
const char *model_wrong(const struct model *model);

struct model_counts {
	uint64_t datagrams, lost, damaged, dropped, data_frames, repeats, closes;
};
const struct model_counts *model_counts(const struct model *model);

#endif
