#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon at full speed for MINUTES (10): its memory must stay flat. Events come from standard input, as fast as the
# worker takes them; as root also as datagrams over AF_XDP, at RATE (20000) events per second. Both go through the
# whole chain into files, which are deleted once they are finished, and into a broker: librdkafka's mock, in a process
# of its own, because what it keeps is not the daemon's.
#
# A line every 10 s, a sample every second. The minute after WARMUP seconds (60: until pools and caches are full) is
# set beside the last one; what is in flight comes and goes within seconds, so medians are compared. Exit status: 0; 1 if
# the resident memory grew by more than 2 %, if buffers are missing at the end, or if the ledger does not balance. BUILD says where the programs are. Needs jq.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/e2e/netns.sh
. tests/e2e/netns.sh

build=${BUILD:-build}
minutes=${MINUTES:-10}
warmup_s=${WARMUP:-60}
rate=${RATE:-20000}
[[ $build = /* ]] || build=$PWD/$build
penstock=$build/tools/penstock
chunk=1000000 # events from one seed
rows=100000   # products and users
hugepages=512 # of 2 MB, free
port=''
[ "$(id -u)" -ne 0 ] || port=yes

say() { printf '%s\n' "$*"; }
die() {
	say "soak: $*" >&2
	exit 1
}

take_hugepages() {
	local knob=/proc/sys/vm/nr_hugepages before free

	before=$(cat $knob)
	free=$(awk '$1 == "HugePages_Free:" {print $2}' /proc/meminfo)
	[ "$free" -lt $hugepages ] || return 0
	more=$((before + hugepages - free))
	echo $more >$knob
	on_exit "[ \"\$(cat $knob)\" != $more ] || echo $before >$knob"
}

make_config() {
	local cpu=1

	[ "$(nproc)" -gt 1 ] || cpu=0
	# shellcheck disable=SC2016 # for sed and for the daemon
	sed -e "s|^  lcores: .*|  lcores: [\"1@$cpu\"]|" \
		-e "s|^    directory: .*|    directory: $dir/lake|" \
		-e 's|^    rotate_mb: .*|    rotate_mb: 16|' \
		-e "s|^  socket: .*|  socket: $PENSTOCK_SOCKET\n  state: $dir/state|" \
		-e 's|^  http: .*|  http: off|' \
		-e "s|^    bootstrap: .*|    bootstrap: $broker|" \
		-e '/^sources:/,/^streams:/{/^sources:/!{/^streams:/!d}}' docs/examples/catalog.yaml |
		sed "s|^sources:|&\n  - {name: input, type: file, path: \"-\", stream: catalog}${port:+\n  - {name: nic0, type: ethdev, device: net_af_xdp, interface: $NETNS_NEAR, queues: 2}}\n|" \
			>"$dir/soak.yaml"
}

# Events without end: every seed another million of them. $1 sets the streams of seeds apart.
events() {
	local seed=$1

	while "$penstock" gen events --count $chunk --seed "$seed" --products $rows --users $rows \
		--duplicates 3% --malformed 1% --unknown-products 2%; do
		seed=$((seed + 2))
	done
}

prune() {
	while sleep 2; do
		find "$dir/lake" -type f ! -name '.*' -delete 2>/dev/null || true
	done
}

# "rss_mb mbufs_free batches_free received conserved"
sample() {
	"$penstock" status --json | jq -r '[.memory.rss_bytes / 1048576, .memory.mbufs_free,
		([.workers[].batches_free] | add), ([.streams[].received] | add), ([.streams[].conserved] | all)] | @tsv'
}

push() {
	"$penstock" gen dimension --name "$1" --rows $rows --seed 1 --out "$dir/$1.jsonl" 2>/dev/null &&
		"$penstock" dim build --from "$dir/$1.jsonl" --key "$2" --name "$1" -o "$dir/$1.dim" >/dev/null 2>&1 &&
		"$penstock" dim push "$dir/$1.dim" >/dev/null
}

dir=$(mktemp -d "${TMPDIR:-/tmp}/penstock-soak.XXXXXX")
on_exit "rm -rf '$dir'"
export PENSTOCK_SOCKET=$dir/control.sock
if [ -n "$port" ]; then
	take_hugepages
	netns_make 2
fi
mkfifo "$dir/commands" # the broker lives as long as somebody can write to it
"$build/tests/e2e/mock_broker" raw_events_topic enriched_events_topic dead_letter_topic_enrichment \
	<"$dir/commands" >"$dir/broker" &
on_exit "kill $! 2>/dev/null"
exec 9>"$dir/commands"
wait_until 10 test -s "$dir/broker" || die "the broker did not start"
broker=$(head -n 1 "$dir/broker")
make_config
events 1 > >(exec "$build/controlplane/penstockd" --config "$dir/soak.yaml" 2>"$dir/log") 2>/dev/null &
feeder=$!
on_exit "kill $feeder 2>/dev/null"
wait_until 60 "$penstock" status >/dev/null 2>&1 || die "the daemon did not start: $(tail -n 1 "$dir/log")"
daemon=$("$penstock" status --json | jq .pid)
on_exit "kill $daemon 2>/dev/null; timeout 60 tail -f --pid=$daemon /dev/null"
push products product_id || die "the products could not be pushed"
push users user_id || die "the users could not be pushed"
if [ -n "$port" ]; then
	events 2 2>/dev/null |
		nsenter --net="/run/netns/$NETNS" "$penstock" send --to "$NETNS_NEAR_IP:9000" --rate "$rate" >/dev/null 2>&1 &
	on_exit "kill $! 2>/dev/null"
fi
prune &
on_exit "kill $! 2>/dev/null"

say "soak: $minutes minutes after $warmup_s s of warm-up, events from standard input${port:+ and over AF_XDP at $rate/s}, load average $(cut -d ' ' -f 1 /proc/loadavg)"
start=$SECONDS samples=$dir/samples shown=$SECONDS
received=0
while [ $((SECONDS - start)) -lt $((warmup_s + minutes * 60)) ]; do
	sleep 1
	kill -0 "$daemon" 2>/dev/null || die "the daemon has ended: $(tail -n 1 "$dir/log")"
	IFS=$'\t' read -r rss mbufs batches now conserved <<<"$(sample)"
	[ "$conserved" = true ] || die "the ledger does not balance"
	elapsed=$((SECONDS - start))
	[ "$elapsed" -lt "$warmup_s" ] || printf '%s\t%s\t%s\t%s\n' "$elapsed" "$rss" "$mbufs" "$batches" >>"$samples"
	[ $((SECONDS - shown)) -ge 10 ] || continue
	printf '%4d s  rss_mb %.1f  mbufs_free %s  batches_free %s  events/s %d\n' "$elapsed" "$rss" "$mbufs" "$batches" \
		$(((now - received) / (SECONDS - shown)))
	received=$now shown=$SECONDS
done
say "received $received events"

# The medians of the first and the last minute, or half of a shorter run.
awk -F '\t' '
	{ time[NR] = $1 + 0; rss[NR] = $2 + 0; mbufs[NR] = $3 + 0; batches[NR] = $4 + 0 }
	function median(of, from, to,    i, j, n, sorted) {
		n = 0
		for (i = 1; i <= NR; i++) {
			if (time[i] < from || time[i] > to) continue
			for (j = n++; j > 0 && sorted[j] > of[i]; j--) sorted[j + 1] = sorted[j]
			sorted[j + 1] = of[i]
		}
		return sorted[int((n + 1) / 2)]
	}
	END {
		if (NR < 2) { print "soak: too short to compare anything"; exit 1 }
		width = time[NR] - time[1] < 120 ? (time[NR] - time[1]) / 2 : 60
		a = time[1]; b = a + width; d = time[NR]; c = d - width
		first = median(rss, a, b); last = median(rss, c, d)
		printf "rss_mb first=%.1f last=%.1f mbufs_free first=%.0f last=%.0f batches_free first=%.1f last=%.1f\n", \
			first, last, median(mbufs, a, b), median(mbufs, c, d), median(batches, a, b), median(batches, c, d)
		exit last > first * 1.02
	}' "$samples"
