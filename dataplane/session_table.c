/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_table.h"

#include "siphash.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define TOKEN_TRIES 64
#define NO_STREAM UINT32_MAX

/* For finding a source's sessions without touching all of them. */
struct key {
	uint64_t source_id;
	uint32_t stream; /* NO_STREAM: neither offered nor live */
	uint32_t reserved;
};

struct session_table {
	uint64_t instance;
	uint8_t secret[16];
	uint64_t n_tokens; /* drawn so far; under the flag */
	uint32_t size, max_sources, token_mask;
	_Atomic uint32_t n_live; /* under the flag: rw, others: ro */
	atomic_flag busy;        /* whoever makes or ends sessions */
	_Atomic uint32_t
	    *by_token; /* under the flag: rw, workers: ro. Index + 1 of the session in a token's place */
	struct key *keys;
	struct session *sessions;
	struct session_limit *limits;
	void *memory; /* of all windows */
	size_t memory_bytes;
};

static bool enter(struct session_table *t)
{
	return !atomic_flag_test_and_set_explicit(&t->busy, memory_order_acquire);
}

static void leave(struct session_table *t)
{
	atomic_flag_clear_explicit(&t->busy, memory_order_release);
}

static enum session_state state_of(const struct session *session)
{
	return (enum session_state)atomic_load_explicit(&session->state, memory_order_acquire);
}

int session_table_create(uint32_t max_sources, uint32_t window, struct session_table **out, struct error *err)
{
	size_t each = (session_frames_bytes(window) + 63) / 64 * 64;
	struct session_table *t;
	uint32_t places = 64;

	*out = NULL;
	if (max_sources == 0 || max_sources > SESSION_MAX_SOURCES || window == 0 || window > WIRE_MAX_WINDOW)
		return error_set(err, -EINVAL, "%u sources with windows of %u frames", max_sources, window);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return error_set(err, -ENOMEM, "no memory for sessions");
	atomic_flag_clear(&t->busy);
	t->max_sources = max_sources;
	/* A source that starts anew has two for a while, and offers come on top. */
	t->size = 2 * max_sources + 64;
	while (places < 8 * t->size)
		places *= 2;
	t->token_mask = places - 1;
	t->memory_bytes = each * t->size;
	/* Touched only as far as windows are used. */
	t->memory = mmap(NULL, t->memory_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->memory == MAP_FAILED)
		t->memory = NULL;
	t->by_token = calloc(places, sizeof(t->by_token[0]));
	t->keys = calloc(t->size, sizeof(t->keys[0]));
	t->limits = calloc(t->size, sizeof(t->limits[0]));
	t->sessions = aligned_alloc(64, (t->size * sizeof(t->sessions[0]) + 63) / 64 * 64);
	if (t->memory == NULL || t->by_token == NULL || t->keys == NULL || t->limits == NULL ||
	    t->sessions == NULL) {
		error_set(err, -ENOMEM, "no memory for %u sessions of %u frames", t->size, window);
		session_table_destroy(t);
		return -ENOMEM;
	}
	memset(t->sessions, 0, t->size * sizeof(t->sessions[0]));
	for (uint32_t i = 0; i < t->size; i++) {
		t->keys[i].stream = NO_STREAM;
		session_frames_init(&t->sessions[i].frames, window, (char *)t->memory + i * each);
	}
	if (getrandom(t->secret, sizeof(t->secret), 0) != (ssize_t)sizeof(t->secret) ||
	    getrandom(&t->instance, sizeof(t->instance), 0) != (ssize_t)sizeof(t->instance)) {
		session_table_destroy(t);
		return error_set(err, -EIO, "getrandom: no random bytes");
	}
	*out = t;
	return 0;
}

void session_table_destroy(struct session_table *t)
{
	if (t == NULL)
		return;
	if (t->memory != NULL)
		(void)munmap(t->memory, t->memory_bytes);
	free(t->by_token);
	free(t->keys);
	free(t->limits);
	free(t->sessions);
	free(t);
}

uint64_t session_table_instance(const struct session_table *t)
{
	return t->instance;
}

uint32_t session_table_size(const struct session_table *t)
{
	return t->size;
}

uint32_t session_table_live(const struct session_table *t)
{
	return atomic_load_explicit(&t->n_live, memory_order_relaxed);
}

struct session *session_at(struct session_table *t, uint32_t index)
{
	return &t->sessions[index];
}

uint32_t session_index(const struct session_table *t, const struct session *session)
{
	return (uint32_t)(session - t->sessions);
}

struct session *session_find(struct session_table *t, uint32_t token)
{
	uint32_t place = atomic_load_explicit(&t->by_token[token & t->token_mask], memory_order_acquire);

	if (place == 0 || t->sessions[place - 1].token != token)
		return NULL;
	return &t->sessions[place - 1];
}

/* ---- under the flag ---- */

/* Nobody finds it any more; what is under way goes on. */
static void retire(struct session_table *t, struct session *session)
{
	if (state_of(session) == SESSION_LIVE)
		atomic_fetch_sub_explicit(&t->n_live, 1, memory_order_relaxed);
	atomic_store_explicit(&t->by_token[session->token & t->token_mask], 0, memory_order_release);
	t->keys[session_index(t, session)].stream = NO_STREAM;
	session->in_grace = false;
	atomic_store_explicit(&session->state, SESSION_RETIRED, memory_order_release);
}

/* A random token whose place is free. 0: none was found. */
static uint32_t draw_token(struct session_table *t)
{
	for (int i = 0; i < TOKEN_TRIES; i++) {
		uint64_t n = t->n_tokens++, hash[2];
		uint32_t token;

		siphash24_128(t->secret, &n, sizeof(n), hash);
		token = (uint32_t)hash[0];
		if (token != 0 &&
		    atomic_load_explicit(&t->by_token[token & t->token_mask], memory_order_relaxed) == 0)
			return token;
	}
	return 0;
}

/* The source's bucket, which it keeps while it is not full, whatever sessions come and go. */
static struct session_limit *find_limit(struct session_table *t, uint64_t source_id)
{
	struct session_limit *unused = NULL;
	uint64_t unused_full = UINT64_MAX;

	for (uint32_t i = 0; i < t->size; i++) {
		struct session_limit *limit = &t->limits[i];
		uint64_t full = atomic_load_explicit(&limit->full_ns, memory_order_relaxed);

		if (limit->source_id == source_id && (limit->sessions > 0 || full != 0))
			return limit;
		if (limit->sessions == 0 && full < unused_full) {
			unused = limit;
			unused_full = full;
		}
	}
	/* There are as many as sessions, and the caller holds one that has none. */
	unused->source_id = source_id;
	atomic_store_explicit(&unused->full_ns, 0, memory_order_relaxed);
	return unused;
}

static struct session *find_free(struct session_table *t)
{
	for (uint32_t i = 0; i < t->size; i++) {
		if (t->keys[i].stream == NO_STREAM && state_of(&t->sessions[i]) == SESSION_FREE)
			return &t->sessions[i];
	}
	return NULL;
}

/* What the table knows of a source and stream. */
struct known {
	struct session *live, *same, *oldest_offer;
	uint32_t n_offers;
};

static void look_up(const struct session_table *t, const struct session_offer *offer, struct known *known)
{
	memset(known, 0, sizeof(*known));
	for (uint32_t i = 0; i < t->size; i++) {
		struct session *session = &t->sessions[i];

		if (t->keys[i].stream != offer->stream || t->keys[i].source_id != offer->source_id)
			continue;
		if (session->epoch == offer->epoch && reply_same_peer(&session->reply, &offer->reply))
			known->same = session;
		if (state_of(session) == SESSION_LIVE) {
			known->live = session;
			continue;
		}
		known->n_offers++;
		if (known->oldest_offer == NULL ||
		    atomic_load_explicit(&session->heard_ns, memory_order_relaxed) <
		        atomic_load_explicit(&known->oldest_offer->heard_ns, memory_order_relaxed))
			known->oldest_offer = session;
	}
}

static int make_offer(
    struct session_table *t, const struct session_offer *offer, uint64_t now_ns, struct session **out)
{
	struct session *session = find_free(t);
	uint32_t token = session == NULL ? 0 : draw_token(t), index;

	if (token == 0)
		return -ENOSPC;
	index = session_index(t, session);
	session->source_id = offer->source_id;
	session->epoch = offer->epoch;
	session->token = token;
	session->stream_hash = offer->stream_hash;
	session->key_id = offer->key_id;
	session->stream = offer->stream;
	session->home = offer->home;
	session->mac = offer->mac;
	session->source = offer->source;
	session->reply = offer->reply;
	session->limit = find_limit(t, offer->source_id);
	session->limit->sessions++;
	session->serial = 0;
	session->acknowledged_ns = now_ns;
	session_frames_reset(&session->frames, offer->base);
	atomic_store_explicit(&session->wanted, 0, memory_order_relaxed);
	session->acknowledged_head = offer->base;
	atomic_store_explicit(&session->heard_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&session->closing, 0, memory_order_relaxed);
	atomic_store_explicit(&session->closed, false, memory_order_relaxed);
	t->keys[index] = (struct key){.source_id = offer->source_id, .stream = offer->stream};
	atomic_store_explicit(&session->state, SESSION_OFFERED, memory_order_relaxed);
	atomic_store_explicit(&t->by_token[token & t->token_mask], index + 1, memory_order_release);
	*out = session;
	return 0;
}

/* ---- workers ---- */

int session_offer(struct session_table *t, const struct session_offer *offer, uint64_t now_ns,
    struct session **out, uint64_t *epoch)
{
	struct known known;
	int rc = 0;

	*out = NULL;
	if (!enter(t))
		return -EBUSY;
	look_up(t, offer, &known);
	if (known.live != NULL && known.live->epoch > offer->epoch) {
		*epoch = known.live->epoch;
		rc = -ESTALE;
		goto out;
	}
	if (known.same != NULL) {
		*out = known.same;
		goto out;
	}
	if (known.live == NULL && session_table_live(t) >= t->max_sources) {
		rc = -ENOSPC;
		goto out;
	}
	if (known.n_offers >= SESSION_MAX_OFFERS)
		retire(t, known.oldest_offer);
	rc = make_offer(t, offer, now_ns, out);
out:
	leave(t);
	return rc;
}

int session_prove(struct session_table *t, struct session *session)
{
	struct session *replaced = NULL;
	uint32_t index = session_index(t, session);
	int rc = 0;

	if (likely(state_of(session) == SESSION_LIVE))
		return 0;
	if (!enter(t))
		return -EBUSY;
	if (state_of(session) == SESSION_LIVE)
		goto out;
	if (state_of(session) != SESSION_OFFERED) {
		rc = -ENOENT;
		goto out;
	}
	for (uint32_t i = 0; i < t->size; i++) {
		if (i != index && t->keys[i].stream == session->stream &&
		    t->keys[i].source_id == session->source_id && state_of(&t->sessions[i]) == SESSION_LIVE)
			replaced = &t->sessions[i];
	}
	/* Another offer may have proved itself since. */
	if (replaced != NULL && replaced->epoch > session->epoch) {
		retire(t, session);
		rc = -ENOENT;
		goto out;
	}
	if (replaced == NULL && session_table_live(t) >= t->max_sources) {
		rc = -ENOSPC;
		goto out;
	}
	if (replaced != NULL)
		retire(t, replaced);
	atomic_fetch_add_explicit(&t->n_live, 1, memory_order_relaxed);
	atomic_store_explicit(&session->state, SESSION_LIVE, memory_order_release);
out:
	leave(t);
	return rc;
}

bool session_limit_take(
    struct session_limit *limit, uint64_t rate, uint64_t burst, uint32_t events, uint64_t now_ns)
{
	uint64_t cost = events * UINT64_C(1000000000) / rate, most = burst * UINT64_C(1000000000) / rate;
	uint64_t full = atomic_load_explicit(&limit->full_ns, memory_order_relaxed), then;

	do {
		then = (full > now_ns ? full : now_ns) + cost;
		if (then - now_ns > most)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &limit->full_ns, &full, then, memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* ---- control ---- */

static bool silent(const struct session *session, uint64_t now_ns)
{
	uint64_t heard = atomic_load_explicit(&session->heard_ns, memory_order_relaxed), patience;

	if (state_of(session) == SESSION_OFFERED)
		patience = SESSION_OFFER_NS;
	else if (atomic_load_explicit(&session->closed, memory_order_relaxed))
		patience = SESSION_CLOSED_NS;
	else
		patience = SESSION_IDLE_NS;
	return now_ns > heard && now_ns - heard > patience;
}

/* Nothing of it is with a sink, parked, or in its home's ring. The order matters: what completes a frame says so before
 * it lets go. */
static bool finished(const struct session *session)
{
	return session_pending(&session->frames) == 0 &&
	       atomic_load_explicit(&session->wanted, memory_order_acquire) == 0;
}

/* Whether no worker can see any more what it saw when this was first called for the session's present state. */
static bool grace_over(struct session *session, struct rte_rcu_qsbr *rcu)
{
	if (rcu == NULL)
		return true;
	if (!session->in_grace) {
		session->grace = rte_rcu_qsbr_start(rcu);
		session->in_grace = true;
	}
	if (rte_rcu_qsbr_check(rcu, session->grace, false) != 1)
		return false;
	session->in_grace = false;
	return true;
}

/* Two periods of grace: after the first no worker gives the retired session another frame, after the second none is in
 * the middle of answering it. */
static void step(struct session_table *t, struct session *session, struct rte_rcu_qsbr *rcu, uint64_t now_ns)
{
	switch (state_of(session)) {
	case SESSION_OFFERED:
	case SESSION_LIVE:
		if (silent(session, now_ns))
			retire(t, session);
		break;
	case SESSION_RETIRED:
		if (grace_over(session, rcu))
			atomic_store_explicit(&session->state, SESSION_FINISHED, memory_order_relaxed);
		break;
	case SESSION_FINISHED:
		if (!session->in_grace && !finished(session))
			break;
		if (!grace_over(session, rcu))
			break;
		session->limit->sessions--;
		atomic_store_explicit(&session->state, SESSION_FREE, memory_order_release);
		break;
	case SESSION_FREE:
		break;
	}
}

void session_table_tick(struct session_table *t, struct rte_rcu_qsbr *rcu, uint64_t now_ns)
{
	if (!enter(t))
		return;
	for (uint32_t i = 0; i < t->size; i++)
		step(t, &t->sessions[i], rcu, now_ns);
	leave(t);
}
