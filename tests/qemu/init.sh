#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
# The first process of a guest (guest.py): hands the cards to a DPDK driver, runs the daemon until it has received what
# the test sends, and leaves on the disk what came of it. Lines that begin with "@@ " are for the test.
/bin/busybox mkdir -p /proc /sys /dev /tmp /var/run /appliance
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /appliance
mkdir -p /dev/hugepages /appliance/out
mount -t hugetlbfs huge /dev/hugepages
exec >/dev/console 2>&1
cd /appliance || exit

finish() { # whatever happened, what there is goes to the disk
	cp -r ./*.log ./*.json numa_maps lake out 2>/dev/null
	tar cf /dev/vda -C out . && sync
	echo "@@ end $1"
	poweroff -f
}

fail() {
	echo "@@ failed: $*"
	finish failed
}

running() {
	kill -0 "$daemon" 2>/dev/null && return
	cat penstockd.log
	fail "the daemon has ended"
}

while read -r module; do
	insmod "$module" || fail "insmod $module"
done </modules.list
ip link set lo up
# CARDS, DRIVER, PAGES_PER_NODE, EXPECT
# shellcheck disable=SC1091
. /test.conf
for node in /sys/devices/system/node/node*; do
	echo "$PAGES_PER_NODE" >"$node/hugepages/hugepages-2048kB/nr_hugepages"
done
sh /before.sh
for card in $CARDS; do
	device=/sys/bus/pci/devices/$card
	[ ! -e "$device/driver" ] || echo "$card" >"$device/driver/unbind"
	echo "$DRIVER" >"$device/driver_override"
	echo "$card" >/sys/bus/pci/drivers_probe
	[ -e "/sys/bus/pci/drivers/$DRIVER/$card" ] || fail "$DRIVER does not take $card"
done

penstockd --config /penstock.yaml >penstockd.log 2>&1 &
daemon=$!
until grep -Eq 'waiting for dimension|ready$' penstockd.log; do
	running
	sleep 0.1
done
pushing=
for dimension in /*.dim; do
	penstock dim push "$dimension" --socket control.sock >/dev/null || touch refused &
	pushing="$pushing $!"
done
# shellcheck disable=SC2086 # several
wait $pushing
[ ! -e refused ] || fail "a dimension is refused"
until grep -q 'ready$' penstockd.log; do
	running
	sleep 0.1
done
echo "@@ ready"

# Until as many events as were sent are at their end, or nothing has moved for long.
idle=0 last=
while true; do
	penstock status --socket control.sock --json >status.json
	now=$(grep -o '"received": *[0-9]*' status.json | head -n 1)
	if [ "${now##*[: ]}" = "$EXPECT" ] && grep -q '"in_flight": *0' status.json; then
		break
	fi
	[ "$now" = "$last" ] || idle=0
	last=$now idle=$((idle + 1))
	[ $idle -lt 40 ] || break
	running
	sleep 0.2
done
echo "@@ received $now"
cat "/proc/$daemon/numa_maps" >numa_maps
kill -TERM "$daemon"
wait "$daemon"
echo "@@ daemon $?"
finish ok
