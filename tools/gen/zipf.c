/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/zipf.h"

#include <math.h>

/* (e^x - 1) / x and log(1 + x) / x, also near 0, where s is near 1. */
static double expm1_over(double x)
{
	return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

static double log1p_over(double x)
{
	return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

/* The integral of x^-s, and its inverse. */
static double integral(const struct zipf *zipf, double x)
{
	double log_x = log(x);

	return expm1_over((1 - zipf->s) * log_x) * log_x;
}

static double integral_inverse(const struct zipf *zipf, double y)
{
	double t = y * (1 - zipf->s);

	if (t < -1)
		t = -1;
	return exp(log1p_over(t) * y);
}

void zipf_init(struct zipf *zipf, uint64_t n, double s)
{
	zipf->n = n;
	zipf->s = s;
	zipf->h_first = integral(zipf, 1.5) - 1;
	zipf->h_last = integral(zipf, (double)n + 0.5);
	zipf->accept = 2 - integral_inverse(zipf, integral(zipf, 2.5) - exp(-s * log(2)));
}

uint64_t zipf_next(const struct zipf *zipf, struct rng *rng)
{
	if (zipf->s == 0)
		return 1 + rng_below(rng, zipf->n);
	for (;;) {
		double u = zipf->h_last + rng_unit(rng) * (zipf->h_first - zipf->h_last);
		double x = integral_inverse(zipf, u);
		double k = floor(x + 0.5);

		if (k < 1)
			k = 1;
		else if (k > (double)zipf->n)
			k = (double)zipf->n;
		if (k - x <= zipf->accept || u >= integral(zipf, k + 0.5) - exp(-zipf->s * log(k)))
			return (uint64_t)k;
	}
}
