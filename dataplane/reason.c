/* SPDX-License-Identifier: BSD-3-Clause */
#include "reason.h"

static const struct reason_info reasons[] = {
#define X(suffix, class_, stage_, name_, help_) \
	[REASON_##suffix] = {.name = name_, .stage = stage_, .help = help_, .class = REASON_CLASS_##class_},
    REASON_TABLE(X)
#undef X
};

_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == REASON_COUNT, "one row for each reason");
_Static_assert(REASON_COUNT <= UINT8_MAX, "struct event keeps a reason in one byte");

const struct reason_info *reason_info(enum reason reason)
{
	return &reasons[reason];
}
