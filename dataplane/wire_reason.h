/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The codes by which acknowledgements name the reasons of reason.h. A code, once released, keeps its
 * meaning for ever: codes are appended, never reused. Reasons that cannot end an event of an acknowledged
 * frame (frames that are refused, events that are shed: the sender sends those again) have none. Any
 * thread; libc only.
 */
#ifndef PENSTOCK_WIRE_REASON_H
#define PENSTOCK_WIRE_REASON_H

#include "reason.h"

/* clang-format off */
/*     code  enum suffix */
#define WIRE_REASON_TABLE(X) \
	X(1,  DUPLICATE) \
	X(2,  JSON_SYNTAX) \
	X(3,  JSON_UTF8) \
	X(4,  JSON_CONTROL) \
	X(5,  JSON_ESCAPE) \
	X(6,  JSON_NUMBER) \
	X(7,  JSON_DEPTH) \
	X(8,  JSON_TRAILING) \
	X(9,  JSON_NOT_OBJECT) \
	X(10, JSON_DUPLICATE_KEY) \
	X(11, JSON_TOO_MANY_FIELDS) \
	X(12, EVENT_TOO_LARGE) \
	X(13, FIELD_MISSING) \
	X(14, FIELD_TYPE) \
	X(15, FIELD_ENUM) \
	X(16, FIELD_RANGE) \
	X(17, FIELD_LENGTH) \
	X(18, FIELD_FORMAT) \
	X(19, FIELD_PATTERN) \
	X(20, FIELD_UNKNOWN) \
	X(21, TIMESTAMP_INVALID) \
	X(22, TIMESTAMP_PAST) \
	X(23, TIMESTAMP_FUTURE) \
	X(24, DIMENSION_MISS) \
	X(25, RECORD_TOO_LARGE)
/* clang-format on */

/* 0 for a reason that never is in an acknowledgement. */
uint8_t wire_reason_code(enum reason reason);

/* REASON_NONE for a code that this version does not know. */
enum reason wire_reason(uint8_t code);

#endif
