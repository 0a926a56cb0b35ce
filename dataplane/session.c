/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <string.h>

#define PENDING_MASK 0xffu
#define FAILED 0x100u
#define PHASE_MASK 0x600u
#define SEQUENCE_SHIFT 16u
#define SEQUENCE_MASK (UINT64_MAX >> SEQUENCE_SHIFT)

enum phase { PHASE_EMPTY = 0, PHASE_RECEIVED = 0x200, PHASE_DURABLE = 0x400 };

/* A window is far smaller than the 48 bits of a sequence that a word keeps. */
static inline uint64_t word_of(uint64_t sequence, enum phase phase, uint32_t pending)
{
	return sequence << SEQUENCE_SHIFT | (uint64_t)phase | pending;
}

static inline bool is_of(uint64_t word, uint64_t sequence)
{
	return word >> SEQUENCE_SHIFT == (sequence & SEQUENCE_MASK);
}

/* The word's frame comes before this one. */
static inline bool is_earlier(uint64_t word, uint64_t sequence)
{
	uint64_t distance = (sequence - (word >> SEQUENCE_SHIFT)) & SEQUENCE_MASK;

	return distance != 0 && distance <= SEQUENCE_MASK / 2;
}

/* A division is too much for each of many frames. */
static inline uint32_t next_slot(const struct session_frames *frames, uint32_t slot)
{
	return slot + 1 == frames->window ? 0 : slot + 1;
}

static inline uint32_t excepted_words(uint32_t window)
{
	return (window + 63) / 64;
}

size_t session_frames_bytes(uint32_t window)
{
	return 8u * window + 8u * excepted_words(window) + (size_t)WIRE_MAX_EVENTS * window;
}

void session_frames_init(struct session_frames *frames, uint32_t window, void *memory)
{
	memset(frames, 0, sizeof(*frames));
	frames->window = window;
	frames->word = memory;
	frames->excepted = frames->word + window;
	frames->reason = (_Atomic uint8_t *)(frames->excepted + excepted_words(window));
}

static void clear_exceptions(struct session_frames *frames, uint32_t slot)
{
	for (uint32_t i = 0; i < WIRE_MAX_EVENTS; i++)
		atomic_store_explicit(&frames->reason[slot * WIRE_MAX_EVENTS + i], 0, memory_order_relaxed);
	atomic_fetch_and_explicit(
	    &frames->excepted[slot / 64], ~(UINT64_C(1) << (slot % 64)), memory_order_relaxed);
}

static inline bool has_exceptions(const struct session_frames *frames, uint32_t slot)
{
	return (atomic_load_explicit(&frames->excepted[slot / 64], memory_order_relaxed) >> (slot % 64) &
	           1) != 0;
}

void session_frames_reset(struct session_frames *frames, uint64_t base)
{
	for (uint32_t slot = 0; slot < frames->window; slot++) {
		atomic_store_explicit(&frames->word[slot], 0, memory_order_relaxed);
		if (has_exceptions(frames, slot))
			clear_exceptions(frames, slot);
	}
	atomic_store_explicit(&frames->base, base, memory_order_relaxed);
	atomic_store_explicit(&frames->sender_base, base, memory_order_relaxed);
	atomic_store_explicit(&frames->head, base, memory_order_relaxed);
	frames->newly_durable = 0;
}

static void raise_to(_Atomic uint64_t *number, uint64_t value)
{
	uint64_t before = atomic_load_explicit(number, memory_order_relaxed);

	while (before < value && !atomic_compare_exchange_weak_explicit(
	                             number, &before, value, memory_order_acq_rel, memory_order_relaxed))
		;
}

/* The verdict on a frame whose slot holds `word`. */
static enum session_claim judge(
    const struct session_frames *frames, uint64_t sequence, uint64_t base, uint64_t word)
{
	uint64_t durable = atomic_load_explicit(&frames->base, memory_order_acquire);
	uint64_t known = atomic_load_explicit(&frames->sender_base, memory_order_acquire);

	if (base > known)
		known = base;
	if (sequence < durable || sequence < known)
		return SESSION_REPEATED;
	if (sequence - known >= frames->window)
		return SESSION_OUTSIDE;
	if (word == 0)
		return SESSION_NEW;
	if (is_of(word, sequence))
		return (word & PHASE_MASK) == PHASE_EMPTY ? SESSION_NEW : SESSION_REPEATED;
	/* An earlier frame's slot is free when nothing of it is under way: it is a window below, so the sender
	 * knows it to be durable, from this session or from one before. */
	return (word & PHASE_MASK) != PHASE_RECEIVED && is_earlier(word, sequence) ? SESSION_NEW
	                                                                           : SESSION_OUTSIDE;
}

enum session_claim session_peek(const struct session_frames *frames, uint64_t sequence, uint64_t base)
{
	return judge(frames, sequence, base,
	    atomic_load_explicit(&frames->word[sequence % frames->window], memory_order_acquire));
}

void session_sender_base(struct session_frames *frames, uint64_t base)
{
	/* In this order: the head is never below the sender's base. */
	raise_to(&frames->head, base);
	raise_to(&frames->sender_base, base);
}

enum session_claim session_claim(
    struct session_frames *frames, uint64_t sequence, uint64_t base, uint32_t count)
{
	uint32_t slot = (uint32_t)(sequence % frames->window);
	uint64_t word = atomic_load_explicit(&frames->word[slot], memory_order_acquire);
	enum session_claim verdict;

	do {
		verdict = judge(frames, sequence, base, word);
		if (verdict != SESSION_NEW)
			return verdict;
	} while (!atomic_compare_exchange_weak_explicit(&frames->word[slot], &word,
	    word_of(sequence, PHASE_RECEIVED, count), memory_order_acq_rel, memory_order_acquire));
	/* Before any event of the frame exists. */
	if (has_exceptions(frames, slot))
		clear_exceptions(frames, slot);
	atomic_fetch_add_explicit(&frames->claimed, 1, memory_order_relaxed);
	raise_to(&frames->head, sequence + 1);
	raise_to(&frames->sender_base, base);
	return SESSION_NEW;
}

/* One event less. The last one decides what the frame is now. */
static bool one_less(struct session_frames *frames, uint32_t slot)
{
	uint64_t before = atomic_fetch_sub_explicit(&frames->word[slot], 1, memory_order_acq_rel);
	uint64_t sequence = before >> SEQUENCE_SHIFT;

	if ((before & PENDING_MASK) != 1)
		return false;
	/* An exchange, so that it is seen before the caller looks whether the home worker knows. */
	(void)atomic_exchange_explicit(&frames->word[slot],
	    word_of(sequence, (before & FAILED) != 0 ? PHASE_EMPTY : PHASE_DURABLE, 0), memory_order_seq_cst);
	return true;
}

bool session_complete(struct session_frames *frames, uint32_t slot, uint32_t event, uint8_t code)
{
	if (code != 0) {
		atomic_store_explicit(
		    &frames->reason[slot * WIRE_MAX_EVENTS + event], code, memory_order_relaxed);
		atomic_fetch_or_explicit(
		    &frames->excepted[slot / 64], UINT64_C(1) << (slot % 64), memory_order_relaxed);
	}
	return one_less(frames, slot);
}

bool session_forget(struct session_frames *frames, uint32_t slot)
{
	atomic_fetch_or_explicit(&frames->word[slot], FAILED, memory_order_relaxed);
	return one_less(frames, slot);
}

/* One past the highest frame received that can be spoken of while the sender is known to be at `known`: others may have
 * moved both since. */
static uint64_t head_within(const struct session_frames *frames, uint64_t known)
{
	uint64_t head = atomic_load_explicit(&frames->head, memory_order_acquire);

	return head - known > frames->window ? known + frames->window : head;
}

/* `known` was loaded from frames->sender_base. What the sender knows to be durable is, even if an earlier session did
 * that. */
static uint64_t advance(struct session_frames *frames, uint64_t known)
{
	uint64_t before = atomic_load_explicit(&frames->base, memory_order_relaxed);
	uint64_t base = known > before ? known : before, from = base;
	uint64_t head = head_within(frames, known);

	for (uint32_t slot = (uint32_t)(base % frames->window); base < head;
	     base++, slot = next_slot(frames, slot)) {
		uint64_t word = atomic_load_explicit(&frames->word[slot], memory_order_seq_cst);

		if (!is_of(word, base) || (word & PHASE_MASK) != PHASE_DURABLE)
			break;
	}
	if (base != before) {
		frames->newly_durable += base - from;
		atomic_store_explicit(&frames->base, base, memory_order_release);
	}
	return base;
}

uint64_t session_advance(struct session_frames *frames)
{
	return advance(frames, atomic_load_explicit(&frames->sender_base, memory_order_acquire));
}

/* Adds a durable frame's exceptions, one for each reason that occurs. False, and nothing added: they do not fit. */
static bool add_exceptions(
    const struct session_frames *frames, uint32_t slot, uint16_t offset, uint32_t room, struct wire_ack *ack)
{
	const _Atomic uint8_t *reason = &frames->reason[slot * WIRE_MAX_EVENTS];
	uint32_t first = ack->n_exceptions, n = first;

	for (uint32_t event = 0; event < WIRE_MAX_EVENTS; event++) {
		uint8_t code = atomic_load_explicit(&reason[event], memory_order_relaxed);
		uint32_t i = first;

		if (code == 0)
			continue;
		while (i < n && ack->exceptions[i].reason != code)
			i++;
		if (i == room)
			return false;
		if (i == n)
			ack->exceptions[n++] = (struct wire_exception){.offset = offset, .reason = code};
		ack->exceptions[i].events |= UINT64_C(1) << event;
	}
	ack->n_exceptions = (uint16_t)n;
	return true;
}

void session_acknowledge(struct session_frames *frames, struct wire_header *header, struct wire_ack *ack)
{
	/* In this order: what the sender knows is durable, and what is durable was received. */
	uint64_t known = atomic_load_explicit(&frames->sender_base, memory_order_acquire);
	uint64_t base = advance(frames, known), reported = known;
	uint64_t head = head_within(frames, known);
	uint32_t room, slot;

	room = wire_ack_room((uint32_t)((head - known + 63) / 64));
	ack->n_exceptions = 0;
	slot = (uint32_t)(reported % frames->window);
	for (; reported < base; reported++, slot = next_slot(frames, slot)) {
		if (has_exceptions(frames, slot) &&
		    !add_exceptions(frames, slot, (uint16_t)(reported - known), room, ack))
			break;
	}
	ack->n_words = (uint16_t)((head - reported + 63) / 64);
	memset(ack->durable, 0, 8u * ack->n_words);
	memset(ack->received, 0, 8u * ack->n_words);
	for (uint64_t at = reported; at < head; at++, slot = next_slot(frames, slot)) {
		uint32_t offset = (uint32_t)(at - reported);
		uint64_t word = atomic_load_explicit(&frames->word[slot], memory_order_seq_cst);
		uint64_t bit = UINT64_C(1) << (offset % 64);

		if (!is_of(word, at) || (word & PHASE_MASK) == PHASE_EMPTY)
			continue;
		ack->received[offset / 64] |= bit;
		if ((word & PHASE_MASK) == PHASE_DURABLE &&
		    (!has_exceptions(frames, slot) ||
		        add_exceptions(frames, slot, (uint16_t)(at - known), room, ack)))
			ack->durable[offset / 64] |= bit;
	}
	header->base = reported;
	header->sequence = head;
	ack->client_base = known;
}
