#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The hot path allocates nothing and calls the kernel for nothing: counted over N and over 4 N events.
#
# Usage: hotpath.sh allocations|system_calls CHAIN COUNTER CONFIG
set -euo pipefail
what=$1 chain=$2 counter=$3 config=$4
n=50000

# One value of the line that the chain prints.
value() {
	grep -oE "(^| )$1=[0-9]+" <<<"$line" | cut -d = -f 2
}

run() {
	line=$("$@")
	echo "$line"
	if [ "$(value received)" -ne "$events" ] || [ "$(value duplicate)" -eq 0 ] || [ "$(value dead_letters)" -eq 0 ]; then
		echo "the chain has not done its work"
		exit 1
	fi
}

count_allocations() {
	run env LD_PRELOAD="$counter" "$chain" "$config" "$events"
	if [ "$(value allocations_before)" -eq 0 ]; then
		echo "the counter does not count"
		exit 1
	fi
	counted=$(value allocations)
}

# Lines of the trace between the two marks; clock reads are kernel calls only where the vDSO cannot read the clock.
count_system_calls() {
	run strace -f -o "$trace" "$chain" "$config" "$events"
	if [ "$(grep -c 'getppid()' "$trace")" -ne 2 ]; then
		echo "the trace does not show where the loop is"
		exit 1
	fi
	sed -n '/getppid()/,/getppid()/p' "$trace" | grep -v 'getppid()' >"$trace.loop" || true
	echo "system calls: $(wc -l <"$trace") in all, $(wc -l <"$trace.loop") in the loop," \
		"$(grep -c clock_gettime "$trace.loop" || true) of them for the time"
	counted=$(grep -vc clock_gettime "$trace.loop" || true)
}

if [ "$what" = system_calls ]; then
	trace=$(mktemp)
	trap 'rm -f "$trace" "$trace.loop"' EXIT
	if ! strace -o /dev/null true 2>"$trace"; then
		echo "nothing can be traced here: $(head -n 1 "$trace")"
		exit 77
	fi
fi
for events in $n $((4 * n)); do
	"count_$what"
	if [ "$counted" -ne 0 ]; then
		echo "$counted $what while $events events went through, none are allowed:"
		[ "$what" = allocations ] || head -n 20 "$trace.loop"
		exit 1
	fi
done
