# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# For scripts that need a network of their own: a namespace and a veth pair into it, removed on any exit.
#
#     . netns.sh
#     netns_make [QUEUES]           # sets NETNS, NETNS_NEAR, NETNS_FAR (interfaces) and NETNS_NEAR_IP, NETNS_FAR_IP
#     netns_exec COMMAND...         # at the far end
#     wait_until SECONDS COMMAND... # until the command succeeds; 1 at the deadline
#     on_exit COMMAND               # run at exit, last one first; before the network goes
#
# The near end is in the caller's namespace. Several scripts can run at once: names and addresses carry the process
# id. Needs bash and root.

_on_exit=()

_run_on_exit() {
	local status=$? i
	trap - EXIT INT TERM HUP
	set +e
	for ((i = ${#_on_exit[@]} - 1; i >= 0; i--)); do
		eval "${_on_exit[i]}"
	done
	exit "$status"
}

on_exit() {
	_on_exit+=("$1")
	trap _run_on_exit EXIT
	# An exit status as a shell gives it for the signal; the EXIT trap does the rest.
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
}

wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

netns_exec() {
	# Unlike `ip netns exec`, this leaves /sys/fs/bpf in sight.
	nsenter --net="/run/netns/$NETNS" "$@"
}

netns_make() {
	local queues=${1:-2} id=$$ subnet
	if [ "$(id -u)" -ne 0 ]; then
		echo "netns_make: needs root" >&2
		return 1
	fi
	NETNS=pst-$id NETNS_NEAR=pn$id NETNS_FAR=pf$id
	# A /30 of 198.18.0.0/15, which is set aside for benchmarks.
	subnet=$((id % 32768 * 4))
	NETNS_NEAR_IP=198.$((18 + subnet / 65536)).$((subnet / 256 % 256)).$((subnet % 256 + 1))
	NETNS_FAR_IP=198.$((18 + subnet / 65536)).$((subnet / 256 % 256)).$((subnet % 256 + 2))
	on_exit netns_remove
	ip netns add "$NETNS" &&
		ip link add "$NETNS_NEAR" numrxqueues "$queues" numtxqueues "$queues" type veth \
			peer name "$NETNS_FAR" numrxqueues "$queues" numtxqueues "$queues" netns "$NETNS" &&
		ip addr add "$NETNS_NEAR_IP/30" dev "$NETNS_NEAR" &&
		ip link set "$NETNS_NEAR" up &&
		netns_exec ip link set lo up &&
		netns_exec ip addr add "$NETNS_FAR_IP/30" dev "$NETNS_FAR" &&
		netns_exec ip link set "$NETNS_FAR" up &&
		# Or UDP checksums are left to a card that is not there, and all arrive wrong.
		netns_exec ethtool -K "$NETNS_FAR" tx off >/dev/null &&
		wait_until 10 _netns_has_carrier
}

_netns_has_carrier() {
	[ "$(cat "/sys/class/net/$NETNS_NEAR/carrier" 2>/dev/null)" = 1 ]
}

netns_remove() {
	# The pair goes with either end; a namespace still in use keeps its own until the last process ends.
	ip link del "$NETNS_NEAR" 2>/dev/null
	ip netns del "$NETNS" 2>/dev/null
	return 0
}
