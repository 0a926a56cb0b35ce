# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034 # what it sets is for who sources it
#
# Sourced by what measures the chain: builds the dimensions once, in $BUILD/perf-data, and sets products, users and places to
# their files. PRODUCTS, USERS and PLACES are their rows.
PRODUCTS=${PRODUCTS:-1000000}
USERS=${USERS:-10000000}
PLACES=${PLACES:-100000}
data=$BUILD/perf-data
mkdir -p "$data"

# dimension NAME ROWS KEY: the snapshot file, built if it is not there yet
dimension() {
	file=$data/$1-$2.dim
	if [ ! -f "$file" ]; then
		echo "building the dimension $1 with $2 rows (kept in $data)" >&2
		"$BUILD/tools/penstock" gen dimension --name "$1" --rows "$2" --seed 1 --out "$data/$1.jsonl" >&2
		"$BUILD/tools/penstock" dim build --from "$data/$1.jsonl" --key "$3" --name "$1" -o "$file.tmp" >&2
		mv "$file.tmp" "$file"
		rm -f "$data/$1.jsonl"
	fi
	echo "$file"
}

products=$(dimension products "$PRODUCTS" product_id)
users=$(dimension users "$USERS" user_id)
places=$(dimension places "$PLACES" place_id)
