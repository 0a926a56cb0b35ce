/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's state and its messages. All bytes: a state is compared and hashed as memory. */
#ifndef PENSTOCK_ACK_STATE_H
#define PENSTOCK_ACK_STATE_H

#include "ack_protocol.h"

struct sender {
	uint8_t epoch;
	uint8_t token;    /* 0: says HELLO */
	uint8_t durable;  /* frames, as bits */
	uint8_t received; /* frames that are not durable */
	uint8_t credit;   /* 0 or 1 */
	uint8_t serial;   /* highest seen in this session */
};

/* What became of an event of a received frame. */
enum fate {
	FATE_NONE, /* the frame has not been received */
	FATE_FLYING,
	FATE_PARKED, /* another frame's event with the same identity is flying */
	FATE_DURABLE,
	FATE_DUPLICATE,
	FATE_DEAD_LETTER,
};

struct session {
	uint8_t token; /* 0: there is none */
	uint8_t epoch;
	uint8_t base;   /* the sender's, as announced */
	uint8_t serial; /* of the last acknowledgement */
	uint8_t owed;   /* an acknowledgement is */
	uint8_t fate[MODEL_FRAMES][MODEL_FRAME_EVENTS];
	uint8_t offer_token, offer_epoch, offer_base;
};

enum mark {
	MARK_NONE,
	MARK_PENDING,
	MARK_DURABLE,
};

struct model_event {
	uint8_t mark;   /* in the dedup window */
	uint8_t output; /* it is in the output, or in the dead letters */
	uint8_t flying; /* the sink has it, and has not confirmed it */
	uint8_t late;   /* a sink that is gone may still write it */
	uint8_t owner;  /* the frame to tell, see owner_of(); 0: nobody */
};

struct model_state {
	struct sender sender[MODEL_SENDERS];
	struct session session[MODEL_SENDERS];
	struct model_event event[MODEL_EVENTS];
	uint8_t next_token[MODEL_SENDERS];
	uint8_t crashes, failures, forgotten, restarts; /* left */
	uint8_t messages[MODEL_MESSAGES][4];            /* ascending; all zero: empty. See struct message */
};

enum message_type {
	MESSAGE_NONE,
	MESSAGE_HELLO,   /* epoch, base */
	MESSAGE_WELCOME, /* epoch, token */
	MESSAGE_DATA,    /* epoch, token, base, frame */
	MESSAGE_ACK,     /* token, serial, durable, received, credit, exceptions */
	MESSAGE_PROBE,   /* epoch, token, base */
	MESSAGE_ERROR,   /* token: unknown session */
};

struct message {
	uint8_t type, sender, token, epoch, base, frame, serial, durable, received, credit;
	uint8_t exceptions[MODEL_FRAMES][MODEL_FRAME_EVENTS]; /* 0 none, 1 duplicate, 2 dead letter */
};

uint32_t message_pack(const struct message *message);
struct message message_unpack(uint32_t packed);

uint32_t state_message(const struct model_state *state, uint32_t slot);
/* Adds a message. One that is there already is there once: it may be delivered often. False: the network is full. */
bool state_send(struct model_state *state, uint32_t capacity, const struct message *message);
void state_remove(struct model_state *state, uint32_t slot);

/* Makes states equal that differ only in the size of serial numbers, whose order is all that matters. */
void state_normalise(struct model_state *state);

#endif
