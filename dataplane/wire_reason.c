/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire_reason.h"

#include "wire.h"

#define X(code, suffix) +1
_Static_assert(
    0 WIRE_REASON_TABLE(X) <= WIRE_MIN_EXCEPTIONS, "all exceptions of one frame fit an acknowledgement");
#undef X

uint8_t wire_reason_code(enum reason reason)
{
	static const uint8_t codes[REASON_COUNT] = {
#define X(code, suffix) [REASON_##suffix] = (code),
	    WIRE_REASON_TABLE(X)
#undef X
	};

	return (unsigned int)reason < REASON_COUNT ? codes[reason] : 0;
}

enum reason wire_reason(uint8_t code)
{
	static const uint8_t reasons[UINT8_MAX + 1] = {
#define X(code, suffix) [code] = REASON_##suffix,
	    WIRE_REASON_TABLE(X)
#undef X
	};

	return (enum reason)reasons[code];
}
