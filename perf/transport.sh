#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What acknowledgements cost the worker's core: the chain fed with plain datagrams, with frames, and with frames that carry
# MACs, by turns. EVENTS of each; the dimensions are those of `make bench`. Writes $BUILD/transport.json.
set -eu

BUILD=${BUILD:-build}
EVENTS=${EVENTS:-1000000}
DEDUP_SLOTS=${DEDUP_SLOTS:-16777216}

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=perf/dimensions.sh
. perf/dimensions.sh

"$BUILD/perf/transport" --config docs/examples/catalog.yaml --cpu "${CPU:-$(($(nproc) - 1))}" \
	--dimension "products=$products" --dimension "users=$users" --dimension "places=$places" \
	--events "$EVENTS" --products "$PRODUCTS" --users "$USERS" --places "$PLACES" --dedup-slots "$DEDUP_SLOTS" \
	--output "$BUILD/transport.json"
echo "written to $BUILD/transport.json"
