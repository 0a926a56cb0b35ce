/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/rtt.h"

void rtt_init(struct rtt *rtt)
{
	*rtt = (struct rtt){.rto_us = RTT_FIRST_RTO_US};
}

void rtt_sample(struct rtt *rtt, uint32_t us)
{
	uint64_t rto;

	if (us == 0)
		us = 1; /* 0 stands for none */
	if (us > RTT_MAX_RTO_US)
		us = RTT_MAX_RTO_US;
	if (rtt->srtt_us == 0) {
		rtt->srtt_us = rtt->min_us = us;
		rtt->rttvar_us = us / 2;
	} else {
		uint32_t error = us > rtt->srtt_us ? us - rtt->srtt_us : rtt->srtt_us - us;

		rtt->rttvar_us = (uint32_t)((3 * (uint64_t)rtt->rttvar_us + error + 2) / 4);
		rtt->srtt_us = (uint32_t)((7 * (uint64_t)rtt->srtt_us + us + 4) / 8);
		if (us < rtt->min_us)
			rtt->min_us = us;
	}
	rto = rtt->srtt_us + 4 * (uint64_t)rtt->rttvar_us;
	rtt->rto_us = rto < RTT_MIN_RTO_US   ? RTT_MIN_RTO_US
	              : rto > RTT_MAX_RTO_US ? RTT_MAX_RTO_US
	                                     : (uint32_t)rto;
}

uint32_t rtt_timeout_us(const struct rtt *rtt, uint32_t backoffs)
{
	uint64_t us = (uint64_t)rtt->rto_us << (backoffs < 16 ? backoffs : 16);

	return us < RTT_MAX_RTO_US ? (uint32_t)us : RTT_MAX_RTO_US;
}
