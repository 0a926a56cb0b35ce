/* SPDX-License-Identifier: BSD-3-Clause */
#include "ack_state.h"

#include <stdlib.h>
#include <string.h>

/* 32 bits: type 3, sender 1, token 4, then 24 that depend on the type. */
uint32_t message_pack(const struct message *m)
{
	uint32_t packed = (uint32_t)(m->type | m->sender << 3 | m->token << 4), at = 14;

	if (m->type != MESSAGE_ACK)
		return packed | (uint32_t)(m->epoch << 8 | m->base << 9 | m->frame << 11);
	packed |= (uint32_t)(m->durable << 8 | m->received << 11);
	for (uint32_t f = 0; f < MODEL_FRAMES; f++) {
		for (uint32_t i = 0; i < MODEL_FRAME_EVENTS; i++, at += 2)
			packed |= (uint32_t)m->exceptions[f][i] << at;
	}
	return packed | (uint32_t)m->credit << at | (uint32_t)m->serial << (at + 1);
}

struct message message_unpack(uint32_t packed)
{
	struct message m = {.type = packed & 7, .sender = packed >> 3 & 1, .token = packed >> 4 & 15};
	uint32_t at = 14;

	if (m.type != MESSAGE_ACK) {
		m.epoch = packed >> 8 & 1;
		m.base = packed >> 9 & 3;
		m.frame = packed >> 11 & 3;
		return m;
	}
	m.durable = packed >> 8 & 7;
	m.received = packed >> 11 & 7;
	for (uint32_t f = 0; f < MODEL_FRAMES; f++) {
		for (uint32_t i = 0; i < MODEL_FRAME_EVENTS; i++, at += 2)
			m.exceptions[f][i] = packed >> at & 3;
	}
	m.credit = packed >> at & 1;
	m.serial = (uint8_t)(packed >> (at + 1) & 31);
	return m;
}

uint32_t state_message(const struct model_state *s, uint32_t slot)
{
	uint32_t packed;

	memcpy(&packed, s->messages[slot], sizeof(packed));
	return packed;
}

static int compare(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void sort(struct model_state *s)
{
	qsort(s->messages, MODEL_MESSAGES, sizeof(s->messages[0]), compare);
}

bool state_send(struct model_state *s, uint32_t capacity, const struct message *message)
{
	uint32_t packed = message_pack(message), used = 0;

	for (uint32_t slot = 0; slot < MODEL_MESSAGES; slot++) {
		if (state_message(s, slot) == packed)
			return true;
		used += state_message(s, slot) != 0;
	}
	if (used >= capacity)
		return false;
	/* Ascending: the first one is empty. */
	memcpy(s->messages[0], &packed, sizeof(packed));
	sort(s);
	return true;
}

void state_remove(struct model_state *s, uint32_t slot)
{
	memset(s->messages[slot], 0, sizeof(s->messages[slot]));
	sort(s);
}

/* Serial numbers of one session: where each is. */
struct serials {
	uint8_t *at[2 + MODEL_MESSAGES];
	uint32_t n;
};

static void renumber(struct serials *serials)
{
	uint8_t rank[2 + MODEL_MESSAGES];

	for (uint32_t i = 0; i < serials->n; i++) {
		uint32_t seen = 0; /* numbers below, each once */

		rank[i] = 0;
		for (uint32_t j = 0; j < serials->n; j++) {
			if (*serials->at[j] < *serials->at[i] && (seen >> *serials->at[j] & 1) == 0) {
				seen |= 1u << *serials->at[j];
				rank[i]++;
			}
		}
	}
	for (uint32_t i = 0; i < serials->n; i++)
		*serials->at[i] = rank[i];
}

void state_normalise(struct model_state *s)
{
	struct message messages[MODEL_MESSAGES];

	for (uint32_t slot = 0; slot < MODEL_MESSAGES; slot++)
		messages[slot] = message_unpack(state_message(s, slot));
	for (uint8_t who = 0; who < MODEL_SENDERS; who++) {
		for (uint8_t token = 1; token < s->next_token[who]; token++) {
			struct serials serials = {.n = 0};

			if (s->sender[who].token == token)
				serials.at[serials.n++] = &s->sender[who].serial;
			if (s->session[who].token == token)
				serials.at[serials.n++] = &s->session[who].serial;
			for (uint32_t slot = 0; slot < MODEL_MESSAGES; slot++) {
				if (messages[slot].type == MESSAGE_ACK && messages[slot].sender == who &&
				    messages[slot].token == token)
					serials.at[serials.n++] = &messages[slot].serial;
			}
			renumber(&serials);
		}
	}
	for (uint32_t slot = 0; slot < MODEL_MESSAGES; slot++) {
		uint32_t packed = messages[slot].type != MESSAGE_NONE ? message_pack(&messages[slot]) : 0;

		memcpy(s->messages[slot], &packed, sizeof(packed));
	}
	sort(s);
}
