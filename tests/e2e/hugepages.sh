#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# hugepages.sh PENSTOCKD: with "hugepages: auto" the daemon starts, and says so, when the hugepages that it counted are
# not there any more when the EAL takes them. A file over the kernel's counter makes it count more than there can be.
set -euo pipefail
penstockd=$(realpath "$1")
counter=/sys/kernel/mm/hugepages/hugepages-2048kB
if [ "${2-}" != inside ]; then
	if ! unshare -rm true 2>/dev/null || [ ! -e $counter ]; then
		echo "skipped: needs user namespaces and a kernel with hugepages"
		exit 77
	fi
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	unshare -rm "$0" "$penstockd" inside "$dir"
	exit
fi
dir=$3
megabytes=$(($(<$counter/nr_hugepages) * 2 + 64))
echo 1000000 >"$dir/free"
mount --bind "$dir/free" $counter/free_hugepages
echo '{"p":"1"}' >"$dir/events"
cpu=$(taskset -cp $$ | grep -Eo '[0-9]+$')
config() { # MODE
	cat >"$dir/$1.yaml" <<EOF
control: {state: $dir/state, socket: $dir/socket}
dataplane: {lcores: ["1@$cpu"], hugepages: $1, memory_mb: $megabytes}
sources: [{name: input, type: file, path: "$dir/events", stream: s}]
sinks: {files: {directory: $dir/lake}}
streams:
  - name: s
    fields: {p: {type: string}}
    dedup: {mode: "off"}
    output: {raw: raw, enriched: enriched, dead_letter: dead}
EOF
}

config auto
timeout 60 "$penstockd" --config "$dir/auto.yaml" --once 2>"$dir/log" || { cat "$dir/log"; exit 1; }
for text in 'others took the hugepages during the start: starting again without' 'packets are not in hugepages' \
	'received=1 durable=1 '; do
	[ "$(grep -c "$text" "$dir/log")" = 1 ] || { echo "not once: $text"; cat "$dir/log"; exit 1; }
done

config required
if timeout 60 "$penstockd" --config "$dir/required.yaml" --once 2>"$dir/log"; then
	echo "hugepages: required started without"
	exit 1
fi
grep -q "DPDK's EAL did not start" "$dir/log" || { cat "$dir/log"; exit 1; }
! grep -q 'starting again' "$dir/log"
