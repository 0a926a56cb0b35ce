/* SPDX-License-Identifier: BSD-3-Clause */
/* A small good configuration in three pieces, for tests that spoil or extend it. */
#ifndef PENSTOCK_CONFIG_SAMPLES_H
#define PENSTOCK_CONFIG_SAMPLES_H

#define SAMPLE_FIELDS \
	"    fields: {id: {type: string}, at: {type: string}, n: {type: integer}, o: {type: object}}\n"
#define SAMPLE_OUTPUT "    output: {enriched: e, dead_letter: d}\n"
#define SAMPLE_SINKS "sinks: {files: {directory: lake}}\n"

#endif
