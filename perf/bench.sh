#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `make bench`: builds the dimensions once (they are kept in $BUILD/perf-data), then runs the chain and the references beside
# it. EVENTS, PRODUCTS, USERS, PLACES and DEDUP_SLOTS change the size, ZIPF the distribution of the keys (0: uniform).
set -eu

BUILD=${BUILD:-build}
EVENTS=${EVENTS:-4000000}
ZIPF=${ZIPF:-0}
DEDUP_SLOTS=${DEDUP_SLOTS:-16777216}

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=perf/dimensions.sh
. perf/dimensions.sh

"$BUILD/perf/bench" --config docs/examples/catalog.yaml --cpu "${CPU:-$(($(nproc) - 1))}" \
	--dimension "products=$products" --dimension "users=$users" --dimension "places=$places" \
	--events "$EVENTS" --products "$PRODUCTS" --users "$USERS" --places "$PLACES" --zipf "$ZIPF" --dedup-slots "$DEDUP_SLOTS" \
	--output "$BUILD/bench.json"
echo "written to $BUILD/bench.json"
