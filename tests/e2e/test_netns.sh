#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2016 # what runs at exit is expanded then
# netns.sh makes a network, both ends answer, and nothing is left after an exit, a failure, or a signal.
set -eu
here=$(dirname "$(readlink -f "$0")")

if [ "${1:-}" = inner ]; then
	# shellcheck source=netns.sh
	. "$here/netns.sh"
	on_exit 'echo last'
	netns_make 2
	on_exit 'ip link show "$NETNS_NEAR" >/dev/null && echo first'
	netns_exec ping -c 1 -W 5 "$NETNS_NEAR_IP" >/dev/null
	ping -c 1 -W 5 "$NETNS_FAR_IP" >/dev/null
	case $2 in
	exit) exit 0 ;;
	fail) false ;;
	wait)
		echo ready
		while :; do sleep 0.1; done
		;;
	esac
fi

if [ "$(id -u)" -ne 0 ] || ! command -v ping >/dev/null || ! unshare -n true 2>/dev/null; then
	echo "skipped: needs root, network namespaces and ping"
	exit 77
fi
# shellcheck source=netns.sh
. "$here/netns.sh"
work=$(mktemp -d)
on_exit 'rm -r "$work"'

left_nothing() {
	! ip link show "pn$1" >/dev/null 2>&1 && [ ! -e "/run/netns/pst-$1" ]
}

check() { # how, expected status, signal
	local pid status=0
	bash "$0" inner "$1" >"$work/out" 2>&1 &
	pid=$!
	if [ -n "${3:-}" ]; then
		wait_until 20 grep -q ready "$work/out"
		kill "-$3" "$pid"
	fi
	wait "$pid" || status=$?
	if [ "$status" -ne "$2" ] || [ "$(grep -v ready "$work/out" | tr '\n' ' ')" != "first last " ] || ! left_nothing "$pid"; then
		echo "$* failed: status $status"
		cat "$work/out"
		exit 1
	fi
}

check exit 0
check fail 1
check wait 143 TERM
check wait 129 HUP
if wait_until 1 false; then
	echo "wait_until did not end"
	exit 1
fi
wait_until 1 true
echo ok
