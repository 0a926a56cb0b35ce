#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds and runs the tests: everything in the plain build, and the suites without a machine of their own (unit, fuzz,
# pipeline) also under ASan + UBSan and under TSan. Ends with the line "N passed, M failed, K skipped".
#
# Usage: tests/run.sh [SUITE]. SANITIZE="" leaves the sanitizers out, WERROR=true makes warnings errors,
# NR_HUGEPAGES=N is how many 2 MB pages to have free for the tests (as root; afterwards it is as before).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

suite=${1-}
dir=${BUILD:-build}
sanitize=${SANITIZE-"asan tsan"}
pages=${NR_HUGEPAGES:-1024}
sanitized_suites="unit fuzz pipeline"
logs=()
broken=0

if [[ -n $suite && ! $suite =~ ^[a-z0-9-]+$ ]]; then
	echo "tests: \"$suite\" is not the name of a suite" >&2
	exit 2
fi

# Tests that run the daemon want hugepages; take them for the time of the run only.
knob=/proc/sys/vm/nr_hugepages
before=$(cat $knob)
restore() {
	# Not if somebody else has changed it since.
	[ "$(cat $knob)" != "$during" ] || echo "$before" >$knob
}
free=$(awk '$1 == "HugePages_Free:" {print $2}' /proc/meminfo)
if [ "$(id -u)" -eq 0 ] && [ -w $knob ] && [ "$free" -lt "$pages" ]; then
	echo $((before + pages - free)) >$knob
	during=$(cat $knob)
	trap restore EXIT
	trap 'exit 130' INT TERM
	[ "$during" -ge $((before + pages - free)) ] || echo "tests: not all of $pages free hugepages could be had"
fi

# run DIR TITLE TIMEOUT-FACTOR SUITES...: one build directory's tests.
run() {
	local dir=$1 title=$2 factor=$3 log
	local -a wrapper=() selected=()
	shift 3
	for name in "$@"; do
		selected+=(--suite "$name")
	done
	# TSan cannot place its shadow where the kernel randomises widely.
	[ "$title" = tsan ] && wrapper=(setarch "$(uname -m)" -R)
	log=$dir/meson-logs/testlog.json
	rm -f "$log"
	echo "tests: $title"
	"${wrapper[@]}" meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier "$factor" \
		"${selected[@]}" >"$dir/tests.log" 2>&1
	if [ -f "$log" ]; then
		logs+=("$title=$log")
	elif ! grep -q 'No suitable tests defined' "$dir/tests.log"; then
		cat "$dir/tests.log"
		broken=1
	fi
}

build() {
	echo "tests: building $1"
	tools/build.sh "$@" && return
	broken=1
	return 1
}

build "$dir" ${WERROR:+-Dwerror="$WERROR"} && run "$dir" plain 1 ${suite:+"$suite"}
for kind in $sanitize; do
	[[ -z $suite || " $sanitized_suites " == *" $suite "* ]] || continue
	flags=address,undefined
	[ "$kind" = tsan ] && flags=thread
	# shellcheck disable=SC2086 # a list of suites
	build "build-$kind" -Db_sanitize=$flags -Db_lundef=false -Dperf=false &&
		run "build-$kind" "$kind" 3 ${suite:-$sanitized_suites}
done

# No test has run: nothing has been shown.
if [ ${#logs[@]} -eq 0 ]; then
	echo "tests: there is nothing to run${suite:+ in suite $suite}" >&2
	broken=1
fi
tests/summary.py --broken $broken ${logs[@]+"${logs[@]}"}
