#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `make bench`: builds the dimensions once (they are kept in $BUILD/perf-data), then runs the chain and the references beside
# it. EVENTS, PRODUCTS, USERS, PLACES and DEDUP_SLOTS change the size, ZIPF the distribution of the keys (0: uniform).
set -eu

BUILD=${BUILD:-build}
EVENTS=${EVENTS:-4000000}
ZIPF=${ZIPF:-0}
PRODUCTS=${PRODUCTS:-1000000}
USERS=${USERS:-10000000}
PLACES=${PLACES:-100000}
DEDUP_SLOTS=${DEDUP_SLOTS:-16777216}

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
data=$BUILD/perf-data
penstock=$BUILD/tools/penstock
mkdir -p "$data"

# dimension NAME ROWS KEY: the snapshot file, built if it is not there yet
dimension() {
	file=$data/$1-$2.dim
	if [ ! -f "$file" ]; then
		echo "building the dimension $1 with $2 rows (kept in $data)" >&2
		"$penstock" gen dimension --name "$1" --rows "$2" --seed 1 --out "$data/$1.jsonl" >&2
		"$penstock" dim build --from "$data/$1.jsonl" --key "$3" --name "$1" -o "$file.tmp" >&2
		mv "$file.tmp" "$file"
		rm -f "$data/$1.jsonl"
	fi
	echo "$file"
}

products=$(dimension products "$PRODUCTS" product_id)
users=$(dimension users "$USERS" user_id)
places=$(dimension places "$PLACES" place_id)

"$BUILD/perf/bench" --config docs/examples/catalog.yaml --cpu "${CPU:-$(($(nproc) - 1))}" \
	--dimension "products=$products" --dimension "users=$users" --dimension "places=$places" \
	--events "$EVENTS" --products "$PRODUCTS" --users "$USERS" --places "$PLACES" --zipf "$ZIPF" --dedup-slots "$DEDUP_SLOTS" \
	--output "$BUILD/bench.json"
echo "written to $BUILD/bench.json"
