#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Real events of a shop through the whole chain from a file, checked against a computation in Python.
# Usage: rees46.sh PENSTOCKD PENSTOCK. Exit 77: the events are not there.
set -euo pipefail
penstockd=$1 penstock=$2
tool=$(dirname "$0")/../data/rees46.py
dir=$(mktemp -d "${TMPDIR:-/tmp}/penstock-rees46.XXXXXX")
pid=''
finish() {
	local status=$?
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
	[ $status -eq 0 ] || [ $status -eq 77 ] || cat "$dir/log" 2>/dev/null || true
	rm -rf "$dir"
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

"$tool" prepare "$dir"
export PENSTOCK_SOCKET=$dir/control.sock
for rows in products.csv products.jsonl; do
	"$penstock" dim build --from "$dir/$rows" --key product_id --name products -o "$dir/$rows.dim"
done

: >"$dir/log"
"$penstockd" --config "$dir/config.yaml" --once >"$dir/log" 2>&1 &
pid=$!
grep -qm 1 'waiting for dimension' < <(timeout 60 tail -n +1 -f --pid=$pid "$dir/log")
"$penstock" dim push "$dir/products.csv.dim" --name products
wait $pid
pid=''

# The ledger's last line, against the computation.
jq -r '"received=\(.received) durable=\(.durable) dead_lettered=\(.dead_lettered) duplicate=\(.duplicate) shed=0 in_flight=0"' \
	"$dir/expected.json" >"$dir/ledger"
grep -F "conserved: yes $(cat "$dir/ledger")" "$dir/log" || {
	echo "expected $(cat "$dir/ledger")"
	exit 1
}
"$tool" check "$dir"
