/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Round-trip time and retransmission time-out by RFC 6298. Samples come from echoed timestamps less the receiver's own
 * delay, so a retransmission makes none ambiguous. Unlike the RFC's the time-out may be as short as 20 ms: what it
 * triggers here is a small PROBE, not a retransmission.
 */
#ifndef LIBPENSTOCK_RTT_H
#define LIBPENSTOCK_RTT_H

#include <stdint.h>

#define RTT_MIN_RTO_US 20000u
#define RTT_MAX_RTO_US 2000000u
#define RTT_FIRST_RTO_US 200000u

struct rtt {
	uint32_t srtt_us, rttvar_us; /* 0 before the first sample */
	uint32_t min_us;
	uint32_t rto_us; /* without backoff */
};

void rtt_init(struct rtt *rtt);
void rtt_sample(struct rtt *rtt, uint32_t us);

/* The time-out after `backoffs` of it have passed in vain. */
uint32_t rtt_timeout_us(const struct rtt *rtt, uint32_t backoffs);

#endif
