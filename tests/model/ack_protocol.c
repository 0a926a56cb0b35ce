/* SPDX-License-Identifier: BSD-3-Clause */
#include "ack_protocol.h"

#include "ack_state.h"

#include <string.h>

/* What happens, for traces: kind << 24 | detail. */
enum step_kind {
	STEP_HELLO,
	STEP_DATA,
	STEP_PROBE,
	STEP_START_ANEW,
	STEP_ACK,
	STEP_WRITE,
	STEP_CONFIRM,
	STEP_FAIL,
	STEP_LATE_WRITE,
	STEP_FORGET,
	STEP_CRASH,
	STEP_DELIVER,
	STEP_DELIVER_AGAIN,
	STEP_LOSE,
};

/* One step under construction. */
struct step {
	const struct model_scenario *scenario;
	enum model_mutation mutation;
	struct explorer *explorer;
	struct model_state s; /* after the step */
	const char *broken;
};

static struct step begin(const struct step *from)
{
	return *from;
}

/* Whether anything can come of the message's delivery, now or later. Nothing does once nobody has its token and no
 * sender can get it any more. Epochs only rise. */
static bool matters(const struct step *step, const struct message *m)
{
	const struct sender *sender = &step->s.sender[m->sender];
	const struct session *session = &step->s.session[m->sender];

	if (m->type == MESSAGE_HELLO)
		return true;
	if (m->type == MESSAGE_WELCOME)
		return m->epoch == sender->epoch;
	if (step->mutation == MUTATION_DAEMON_IGNORES_TOKEN ||
	    step->mutation == MUTATION_SENDER_IGNORES_TOKEN || m->token == sender->token ||
	    m->token == session->token || m->token == session->offer_token)
		return true;
	for (uint32_t slot = 0; slot < MODEL_MESSAGES; slot++) {
		struct message other = message_unpack(state_message(&step->s, slot));

		if (other.type == MESSAGE_WELCOME && other.sender == m->sender && other.token == m->token &&
		    other.epoch == sender->epoch)
			return true;
	}
	return false;
}

/* Loses what does not matter: fewer states, and none that differs in what it can lead to. */
static void prune(struct step *step)
{
	for (uint32_t slot = 0; slot < MODEL_MESSAGES;) {
		struct message m = message_unpack(state_message(&step->s, slot));

		if (m.type == MESSAGE_NONE || matters(step, &m)) {
			slot++;
		} else {
			state_remove(&step->s, slot);
			slot = 0; /* they have moved */
		}
	}
}

static void end(struct step *step, enum step_kind kind, uint32_t detail, bool fair)
{
	prune(step);
	state_normalise(&step->s);
	explore_step(step->explorer, &step->s, (uint32_t)kind << 24 | detail, fair, step->broken);
}

static void breaks(struct step *step, const char *rule)
{
	if (step->broken == NULL)
		step->broken = rule;
}

static uint8_t n_frames(const struct step *step, uint32_t who, uint32_t epoch)
{
	return step->scenario->n_frames[who][epoch];
}

static uint8_t all_frames(const struct step *step, uint32_t who, uint32_t epoch)
{
	return (uint8_t)((1u << n_frames(step, who, epoch)) - 1);
}

/* The event as an index, or -1. */
static int event_of(const struct step *step, uint32_t who, uint32_t epoch, uint32_t frame, uint32_t i)
{
	return step->scenario->events[who][epoch][frame][i] - 1;
}

static bool is_dead_letter(const struct step *step, int event)
{
	return (step->scenario->dead_letters >> event & 1) != 0;
}

static uint8_t lowest_clear(uint8_t bits)
{
	uint8_t at = 0;

	while ((bits >> at & 1) != 0)
		at++;
	return at;
}

/* ---- senders ---- */

static uint8_t sender_base(const struct sender *sender)
{
	return lowest_clear(sender->durable);
}

static void sender_steps(const struct step *from, uint8_t who)
{
	const struct sender *sender = &from->s.sender[who];
	uint8_t capacity = from->scenario->messages;
	struct message m = {
	    .sender = who, .token = sender->token, .epoch = sender->epoch, .base = sender_base(sender)};
	struct step step = begin(from);

	if (sender->durable == all_frames(from, who, sender->epoch))
		return;
	if (sender->token == 0) {
		m.type = MESSAGE_HELLO;
		if (state_send(&step.s, capacity, &m))
			end(&step, STEP_HELLO, who, true);
		return;
	}
	m.type = MESSAGE_PROBE;
	if (from->mutation != MUTATION_NO_PROBE && state_send(&step.s, capacity, &m))
		end(&step, STEP_PROBE, who, true);
	m.type = MESSAGE_DATA;
	for (m.frame = m.base; sender->credit != 0 && m.frame < n_frames(from, who, sender->epoch) &&
	                       m.frame < m.base + from->scenario->window;
	     m.frame++) {
		step = begin(from);
		if (((sender->durable | sender->received) >> m.frame & 1) == 0 &&
		    state_send(&step.s, capacity, &m))
			end(&step, STEP_DATA, (uint32_t)who << 8 | m.frame, true);
	}
}

/* The process starts anew: what it sends now, perhaps nothing, has nothing to do with what it sent before. */
static void start_anew(const struct step *from, uint8_t who)
{
	struct step step = begin(from);

	if (from->s.restarts == 0 || from->s.sender[who].epoch + 1 == MODEL_EPOCHS)
		return;
	step.s.restarts--;
	step.s.sender[who] = (struct sender){.epoch = 1};
	end(&step, STEP_START_ANEW, who, false);
}

/* The frame is durable, says the daemon. Is it? */
static void believe(struct step *step, const struct message *m, uint8_t frame)
{
	struct sender *sender = &step->s.sender[m->sender];

	sender->durable |= (uint8_t)(1u << frame);
	for (uint32_t i = 0; i < MODEL_FRAME_EVENTS; i++) {
		int event = event_of(step, m->sender, sender->epoch, frame, i);

		if (event < 0)
			continue;
		if (!step->s.event[event].output)
			breaks(step, "an event was acknowledged that is not durable");
		if ((m->exceptions[frame][i] == 2) != is_dead_letter(step, event))
			breaks(step, "an event was acknowledged with the wrong outcome");
	}
}

static void sender_takes_ack(struct step *step, const struct message *m)
{
	struct sender *sender = &step->s.sender[m->sender];

	if (sender->token == 0 ||
	    (m->token != sender->token && step->mutation != MUTATION_SENDER_IGNORES_TOKEN))
		return;
	for (uint8_t frame = 0; frame < n_frames(step, m->sender, sender->epoch); frame++) {
		if ((m->durable >> frame & 1) != 0 && (sender->durable >> frame & 1) == 0)
			believe(step, m, frame);
	}
	if (m->serial > sender->serial) {
		sender->serial = m->serial;
		sender->credit = m->credit;
		sender->received =
		    m->received | (step->mutation == MUTATION_RECEIVED_FOR_EVER ? sender->received : 0);
	}
	sender->received &= (uint8_t)~sender->durable;
}

static void sender_takes(struct step *step, const struct message *m)
{
	struct sender *sender = &step->s.sender[m->sender];

	if (m->type == MESSAGE_ACK) {
		sender_takes_ack(step, m);
	} else if (m->type == MESSAGE_WELCOME) {
		if (sender->token != 0 || sender->epoch != m->epoch)
			return;
		sender->token = m->token;
		sender->credit = 1;
	} else if (sender->token == m->token) { /* ERROR unknown_session */
		sender->token = sender->credit = sender->serial = sender->received = 0;
	}
}

/* ---- the daemon: sessions ---- */

static uint8_t owner_of(uint8_t who, uint8_t frame, uint8_t i)
{
	return (uint8_t)(1 + (who * MODEL_FRAMES + frame) * MODEL_FRAME_EVENTS + i);
}

static uint8_t *fate_of(struct model_state *s, uint8_t owner)
{
	uint32_t at = owner - 1u, frame = at / MODEL_FRAME_EVENTS;

	return &s->session[frame / MODEL_FRAMES].fate[frame % MODEL_FRAMES][at % MODEL_FRAME_EVENTS];
}

/* The frame has not been received any more; its events fly on, and nobody waits for them. */
static void forget_frame(struct model_state *s, uint8_t who, uint8_t frame)
{
	for (uint8_t i = 0; i < MODEL_FRAME_EVENTS; i++) {
		s->session[who].fate[frame][i] = FATE_NONE;
		for (uint32_t e = 0; e < MODEL_EVENTS; e++) {
			if (s->event[e].owner == owner_of(who, frame, i))
				s->event[e].owner = 0;
		}
	}
}

static void forget_frames(struct model_state *s, uint8_t who, uint8_t below)
{
	for (uint8_t frame = 0; frame < below; frame++)
		forget_frame(s, who, frame);
}

static bool is_received(const struct session *session, uint8_t frame)
{
	return session->fate[frame][0] != FATE_NONE;
}

static bool is_durable(const struct step *step, uint8_t who, uint8_t frame)
{
	const struct session *session = &step->s.session[who];
	bool all = is_received(session, frame), any = false;

	if (frame < session->base)
		return true;
	if (step->mutation == MUTATION_ACK_ON_RECEIVE)
		return all;
	for (uint32_t i = 0; i < MODEL_FRAME_EVENTS; i++) {
		if (event_of(step, who, session->epoch, frame, i) < 0)
			continue;
		all = all && session->fate[frame][i] >= FATE_DURABLE;
		any = any || session->fate[frame][i] >= FATE_DURABLE;
	}
	return step->mutation == MUTATION_PARTIAL_FRAME ? any : all;
}

static uint8_t durable_base(const struct step *step, uint8_t who)
{
	uint8_t base = 0;

	while (base < n_frames(step, who, step->s.session[who].epoch) && is_durable(step, who, base))
		base++;
	return base;
}

static void answer(struct step *step, const struct message *m)
{
	/* No room: as if it were lost. */
	(void)state_send(&step->s, step->scenario->messages, m);
}

static void daemon_takes_hello(struct step *step, const struct message *m)
{
	struct session *session = &step->s.session[m->sender];
	struct message welcome = {.type = MESSAGE_WELCOME, .sender = m->sender, .epoch = m->epoch};

	if ((session->token != 0 && m->epoch < session->epoch) ||
	    (session->offer_token != 0 && m->epoch < session->offer_epoch))
		return; /* stale */
	if (session->token != 0 && session->epoch == m->epoch) {
		welcome.token = session->token;
	} else {
		if (session->offer_token == 0 || session->offer_epoch != m->epoch) {
			session->offer_token = step->s.next_token[m->sender]++;
			session->offer_epoch = m->epoch;
			session->offer_base = m->base;
			if (session->offer_token > 15)
				breaks(step, "the model has run out of tokens");
		}
		welcome.token = session->offer_token;
	}
	answer(step, &welcome);
}

static void daemon_takes_event(struct step *step, uint8_t who, uint8_t frame, uint8_t i, int e)
{
	struct model_event *event = &step->s.event[e];
	uint8_t *fate = &step->s.session[who].fate[frame][i];
	bool in_window = step->mutation != MUTATION_DEAD_LETTER_NOT_IN_WINDOW || !is_dead_letter(step, e);

	if (event->mark == MARK_PENDING && step->mutation != MUTATION_DUPLICATE_AT_ONCE) {
		*fate = FATE_PARKED;
	} else if (event->mark != MARK_NONE && in_window) {
		*fate = is_dead_letter(step, e) ? FATE_DEAD_LETTER : FATE_DUPLICATE;
	} else {
		*fate = FATE_FLYING;
		event->mark = MARK_PENDING;
		event->flying = 1;
		event->owner = owner_of(who, frame, i);
	}
}

/* DATA and PROBE. */
static void daemon_takes_frame(struct step *step, const struct message *m)
{
	struct session *session = &step->s.session[m->sender];

	if (session->offer_token != 0 && m->token == session->offer_token) {
		forget_frames(&step->s, m->sender, MODEL_FRAMES);
		*session = (struct session){
		    .token = m->token, .epoch = session->offer_epoch, .base = session->offer_base};
	}
	if (session->token == 0 ||
	    (m->token != session->token && step->mutation != MUTATION_DAEMON_IGNORES_TOKEN)) {
		if (step->mutation != MUTATION_NO_ERROR)
			answer(step,
			    &(struct message){.type = MESSAGE_ERROR, .sender = m->sender, .token = m->token});
		return;
	}
	if (step->mutation == MUTATION_BASE_NOT_BELIEVED && m->base > durable_base(step, m->sender))
		return;
	if (m->base > session->base) {
		session->base = m->base;
		forget_frames(&step->s, m->sender, m->base);
	}
	session->owed = 1;
	if (m->type == MESSAGE_PROBE || m->frame < session->base ||
	    m->frame >= session->base + step->scenario->window || is_received(session, m->frame))
		return;
	for (uint8_t i = 0; i < MODEL_FRAME_EVENTS; i++) {
		int e = event_of(step, m->sender, m->epoch, m->frame, i);

		if (e >= 0)
			daemon_takes_event(step, m->sender, m->frame, i, e);
	}
}

static uint8_t exception_of(uint8_t fate)
{
	return fate == FATE_DUPLICATE ? 1 : fate == FATE_DEAD_LETTER ? 2 : 0;
}

static void send_ack(const struct step *from, uint8_t who, uint8_t credit)
{
	struct step step = begin(from);
	struct session *session = &step.s.session[who];
	struct message m = {.type = MESSAGE_ACK, .sender = who, .token = session->token, .credit = credit};
	uint8_t room = from->scenario->exceptions;
	bool all_below = true;

	if (session->token == 0 || session->owed == 0)
		return;
	for (uint8_t frame = 0; frame < n_frames(from, who, session->epoch); frame++) {
		bool durable = is_durable(from, who, frame), excepted = false, told;

		all_below = all_below && durable;
		if (frame < session->base || is_received(session, frame))
			m.received |= (uint8_t)(1u << frame);
		for (uint32_t i = 0; frame >= session->base && i < MODEL_FRAME_EVENTS; i++)
			excepted = excepted || exception_of(session->fate[frame][i]) != 0;
		told = excepted && durable && room > 0 &&
		       !(from->mutation == MUTATION_EXCEPTIONS_ONCE && all_below);
		for (uint32_t i = 0; told && i < MODEL_FRAME_EVENTS; i++)
			m.exceptions[frame][i] = exception_of(session->fate[frame][i]);
		room -= told;
		if (durable && (!excepted || told || from->mutation == MUTATION_EXCEPTIONS_CUT ||
		                   from->mutation == MUTATION_EXCEPTIONS_ONCE))
			m.durable |= (uint8_t)(1u << frame);
	}
	m.serial = ++session->serial;
	session->owed = 0;
	if (state_send(&step.s, from->scenario->messages, &m))
		end(&step, STEP_ACK, who, credit != 0);
}

/* ---- the daemon: its sink, its end ---- */

static void wake_parked(struct step *step, int e, bool durable)
{
	for (uint8_t who = 0; who < step->scenario->n_senders; who++) {
		struct session *session = &step->s.session[who];

		for (uint8_t frame = 0; session->token != 0 && frame < MODEL_FRAMES; frame++) {
			for (uint8_t i = 0; i < MODEL_FRAME_EVENTS; i++) {
				uint8_t *fate = &session->fate[frame][i];

				if (*fate != FATE_PARKED ||
				    event_of(step, who, session->epoch, frame, i) != e)
					continue;
				if (durable)
					*fate = is_dead_letter(step, e) ? FATE_DEAD_LETTER : FATE_DUPLICATE;
				else if (step->mutation != MUTATION_PARKED_FOR_EVER)
					forget_frame(&step->s, who, frame);
				session->owed = 1;
			}
		}
	}
}

static void write_event(struct step *step, int e)
{
	if (step->s.event[e].output)
		breaks(step, "an event was written twice");
	step->s.event[e].output = 1;
}

static uint8_t owner_session(uint8_t owner)
{
	return (uint8_t)((owner - 1u) / MODEL_FRAME_EVENTS / MODEL_FRAMES);
}

/* `flying` is 1 for what the sink has been given, 2 for what it has written. */
static void sink_steps(const struct step *from, int e)
{
	const struct model_event *event = &from->s.event[e];
	uint8_t owner = event->owner;
	struct step step = begin(from);

	if (event->flying == 1) {
		step.s.event[e].flying = 2;
		write_event(&step, e);
		end(&step, STEP_WRITE, (uint32_t)e, true);
	} else if (event->flying == 2) {
		step.s.event[e].flying = step.s.event[e].owner = 0;
		step.s.event[e].mark = MARK_DURABLE;
		if (owner != 0) {
			*fate_of(&step.s, owner) = is_dead_letter(from, e) ? FATE_DEAD_LETTER : FATE_DURABLE;
			step.s.session[owner_session(owner)].owed = 1;
		}
		wake_parked(&step, e, true);
		end(&step, STEP_CONFIRM, (uint32_t)e, true);
	}
	if (from->s.failures > 0 &&
	    (event->flying == 1 || (event->flying == 2 && from->mutation == MUTATION_UNCERTAIN_FAILURE))) {
		step = begin(from);
		step.s.failures--;
		step.s.event[e].flying = step.s.event[e].owner = 0;
		step.s.event[e].mark =
		    from->mutation == MUTATION_FAILURE_KEEPS_MARK ? MARK_DURABLE : MARK_NONE;
		if (owner != 0) {
			forget_frame(&step.s, owner_session(owner),
			    (uint8_t)((owner - 1u) / MODEL_FRAME_EVENTS % MODEL_FRAMES));
			step.s.session[owner_session(owner)].owed = 1;
		}
		wake_parked(&step, e, false);
		end(&step, STEP_FAIL, (uint32_t)e, false);
	}
	if (event->late != 0) {
		step = begin(from);
		step.s.event[e].late = 0;
		write_event(&step, e);
		end(&step, STEP_LATE_WRITE, (uint32_t)e, false);
	}
}

static void forget_session(const struct step *from, uint8_t who)
{
	struct step step = begin(from);

	if (from->s.forgotten == 0 || from->s.session[who].token == 0)
		return;
	step.s.forgotten--;
	forget_frames(&step.s, who, MODEL_FRAMES);
	memset(&step.s.session[who], 0, sizeof(step.s.session[who]));
	end(&step, STEP_FORGET, who, false);
}

/* kill -9 and a new start, which restores the window before the first frame is accepted. */
static void crash(const struct step *from)
{
	struct step step = begin(from);

	if (from->s.crashes == 0)
		return;
	step.s.crashes--;
	memset(step.s.session, 0, sizeof(step.s.session));
	for (int e = 0; e < MODEL_EVENTS; e++) {
		const struct model_event *was = &from->s.event[e];
		struct model_event *event = &step.s.event[e];
		bool known = was->output;

		if (from->mutation == MUTATION_WINDOW_NOT_RESTORED)
			known = false;
		else if (from->mutation == MUTATION_UNCONFIRMED_NOT_RESTORED)
			known = was->mark == MARK_DURABLE;
		else if (from->mutation == MUTATION_MARK_BEFORE_DURABLE)
			known = was->mark != MARK_NONE;
		else if (from->mutation == MUTATION_DEAD_LETTER_NOT_IN_WINDOW && is_dead_letter(from, e))
			known = false;
		event->mark = known ? MARK_DURABLE : MARK_NONE;
		event->late = from->mutation == MUTATION_LATE_WRITE && (was->flying == 1 || was->late);
		event->flying = event->owner = 0;
	}
	end(&step, STEP_CRASH, 0, false);
}

/* ---- the network, and all of it ---- */

static void deliver(const struct step *from, uint32_t slot, bool keep)
{
	struct message m = message_unpack(state_message(&from->s, slot));
	struct step step = begin(from);

	/* A message that is delivered again leaves no room for its answer when the network is full. */
	if (!keep)
		state_remove(&step.s, slot);
	if (m.type == MESSAGE_HELLO)
		daemon_takes_hello(&step, &m);
	else if (m.type == MESSAGE_DATA || m.type == MESSAGE_PROBE)
		daemon_takes_frame(&step, &m);
	else
		sender_takes(&step, &m);
	end(&step, keep ? STEP_DELIVER_AGAIN : STEP_DELIVER,
	    (uint32_t)m.type << 16 | (uint32_t)m.sender << 8 | (m.type == MESSAGE_ACK ? m.durable : m.frame),
	    !keep);
}

static void network_steps(const struct step *from)
{
	for (uint32_t slot = 0; slot < MODEL_MESSAGES; slot++) {
		struct step step = begin(from);
		struct message m = message_unpack(state_message(&from->s, slot));

		if (m.type == MESSAGE_NONE)
			continue;
		deliver(from, slot, false);
		deliver(from, slot, true);
		state_remove(&step.s, slot);
		end(&step, STEP_LOSE, (uint32_t)m.type << 16 | (uint32_t)m.sender << 8 | m.frame, false);
	}
}

static void steps(const void *context, const void *state, struct explorer *explorer)
{
	const struct model_context *c = context;
	struct step from = {.scenario = c->scenario, .mutation = c->mutation, .explorer = explorer};

	memcpy(&from.s, state, sizeof(from.s));
	for (uint8_t who = 0; who < c->scenario->n_senders; who++) {
		sender_steps(&from, who);
		start_anew(&from, who);
		send_ack(&from, who, 1);
		if (c->scenario->credit)
			send_ack(&from, who, 0);
		forget_session(&from, who);
	}
	for (int e = 0; e < MODEL_EVENTS; e++)
		sink_steps(&from, e);
	crash(&from);
	network_steps(&from);
}

static void initial(const void *context, void *state)
{
	const struct model_scenario *scenario = ((const struct model_context *)context)->scenario;
	struct model_state s;

	memset(&s, 0, sizeof(s));
	for (uint32_t who = 0; who < scenario->n_senders; who++)
		s.next_token[who] = 1;
	s.crashes = scenario->crashes;
	s.failures = scenario->failures;
	s.forgotten = scenario->forgotten;
	s.restarts = scenario->restarts;
	memcpy(state, &s, sizeof(s));
}

static bool is_goal(const void *context, const void *state)
{
	const struct model_scenario *scenario = ((const struct model_context *)context)->scenario;
	struct model_state s;
	bool done = true;

	memcpy(&s, state, sizeof(s));
	for (uint32_t who = 0; who < scenario->n_senders; who++)
		done =
		    done && s.sender[who].durable == (1u << scenario->n_frames[who][s.sender[who].epoch]) - 1;
	return done;
}

static void describe(const void *context, uint32_t step, char *text, size_t size)
{
	static const char *const kinds[] = {
	    [STEP_HELLO] = "sender %c says HELLO",
	    [STEP_DATA] = "sender %c sends frame %u",
	    [STEP_PROBE] = "sender %c sends PROBE",
	    [STEP_START_ANEW] = "sender %c starts anew",
	    [STEP_ACK] = "the daemon acknowledges to sender %c",
	    [STEP_FORGET] = "the daemon forgets the session of sender %c",
	};
	static const char *const types[] = {"nothing", "HELLO", "WELCOME", "DATA", "ACK", "PROBE", "ERROR"};
	static const char *const sinks[] = {[STEP_WRITE] = "the sink writes",
	    [STEP_CONFIRM] = "the sink confirms",
	    [STEP_FAIL] = "the sink gives up",
	    [STEP_LATE_WRITE] = "the sink of a dead daemon writes"};
	enum step_kind kind = (enum step_kind)(step >> 24);
	uint32_t who = step >> 8 & 255, detail = step & 255, type = step >> 16 & 255;

	(void)context;
	switch (kind) {
	case STEP_DATA:
		(void)snprintf(text, size, "sender %c sends frame %u", 'A' + (int)who, detail);
		return;
	case STEP_HELLO:
	case STEP_PROBE:
	case STEP_START_ANEW:
	case STEP_ACK:
	case STEP_FORGET:
		(void)snprintf(text, size, kinds[kind], 'A' + (int)detail);
		return;
	case STEP_WRITE:
	case STEP_CONFIRM:
	case STEP_FAIL:
	case STEP_LATE_WRITE:
		(void)snprintf(text, size, "%s event %u", sinks[kind], detail + 1);
		return;
	case STEP_CRASH:
		(void)snprintf(text, size, "the daemon crashes and starts again");
		return;
	case STEP_DELIVER:
	case STEP_DELIVER_AGAIN:
	case STEP_LOSE:
		(void)snprintf(text, size, "%s %s of or to sender %c%s",
		    kind == STEP_LOSE ? "lost:" : "delivered:", types[type], 'A' + (int)who,
		    kind == STEP_DELIVER_AGAIN ? ", and will be again" : "");
		return;
	}
}

const struct explore_model ack_protocol = {
    .state_bytes = sizeof(struct model_state),
    .initial = initial,
    .steps = steps,
    .is_goal = is_goal,
    .describe = describe,
};
