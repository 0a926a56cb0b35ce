#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The main job, from a sender through a real network port into Kafka and files, and the ledger of it.
#
# As root: the daemon on AF_XDP in a network namespace of its own, the sender in another, a veth pair between them.
# Otherwise, or with SOURCE=file: the same chain fed from a file, without hugepages.
# Variables: COUNT, RATE (events per second), SEED, SOURCE=port|file, KEEP=1 (leave it running), BUILD.
set -euo pipefail
cd "$(dirname "$0")/.."

count=${COUNT:-1000000}
rate=${RATE:-50000} # on two cores the sender, the sinks and the broker share one of them
seed=${SEED:-1}
keep=${KEEP:-}
source=${SOURCE:-}
build=${BUILD:-build}
products=100000 users=1000000 places=1000
hugepages=768 # of 2 MB, free
start_limit_s=60
stall_limit_s=10

[[ $build = /* ]] || build=$PWD/$build
penstock=$build/tools/penstock
penstockd=$build/controlplane/penstockd
example=docs/examples/catalog.yaml
stream=catalog

say() { printf '%s\n' "$@"; }
die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

if [ -z "$source" ]; then
	source="port"
	[ "$(id -u)" -eq 0 ] || source="file"
fi
for program in "$penstock" "$penstockd"; do
	[ -x "$program" ] || die "$program is not there: run make build"
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/penstock-demo.XXXXXX")
chmod 755 "$dir"
lake=$dir/lake log=$dir/penstockd.log config=$dir/catalog.yaml expect=$dir/expect.json
export PENSTOCK_SOCKET=$dir/control.sock
daemon_ns=pst-demo-in-$$ sender_ns=pst-demo-out-$$
daemon_address=198.18.0.1 sender_address=198.18.0.2
daemon_pid='' sender_pid=''

# What has to be undone is written into one script, which KEEP=1 leaves for the user.
cat >"$dir/stop" <<-TEXT
	#!/bin/sh
	# Ends the demo and removes what it made.
TEXT
chmod +x "$dir/stop"
undo() { printf '%s\n' "$*" >>"$dir/stop"; }

finish() {
	local status=$?
	trap - EXIT INT TERM
	set +e
	[ -z "$sender_pid" ] || kill "$sender_pid" 2>/dev/null
	if [ $status -ne 0 ] && [ -s "$log" ]; then
		say "--- the end of the daemon's log" >&2
		tail -n 15 "$log" >&2
	fi
	if [ $status -ne 0 ] || [ -z "$keep" ]; then
		undo "rm -rf '$dir'"
		"$dir/stop" 2>/dev/null
	else
		undo "rm -rf '$dir'"
	fi
	exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# set_key SED-EXPRESSION LINE: changes the configuration, and checks that the line is now there.
set_key() {
	sed -i "$1" "$config"
	grep -qF -- "$2" "$config" || die "$example has changed: cannot make \"$2\" of it"
}

make_config() {
	local cpu=1

	[ "$(nproc)" -gt 1 ] || cpu=0
	cp "$example" "$config"
	set_key "s|^  lcores: .*|  lcores: [\"1@$cpu\"]|" "  lcores: [\"1@$cpu\"]"
	set_key "s|^    directory: .*|    directory: $lake|" "    directory: $lake"
	set_key "s|^  socket: .*|  socket: $PENSTOCK_SOCKET\n  state: $dir/state|" "  state: $dir/state"
	if [ "$source" = port ]; then
		set_key 's|^    queues: .*|    queues: 2|' '    queues: 2'
	else
		set_key 's|^  hugepages: .*|  hugepages: off|' '  hugepages: off'
		set_key 's|^  http: .*|  http: 127.0.0.1:0|' '  http: 127.0.0.1:0'
		# The file takes the port's place.
		set_key '/^sources:/,/^streams:/{/^sources:/!{/^streams:/!d}}' 'sources:'
		set_key "s|^sources:|&\n  - {name: replay, type: file, path: $dir/events.ndjson, stream: $stream}\n|" 'name: replay'
	fi
}

# make_network: two namespaces and a veth pair of two queues between them.
make_network() {
	undo "ip netns del $daemon_ns"
	ip netns add "$daemon_ns"
	undo "ip netns del $sender_ns"
	ip netns add "$sender_ns"
	ip -n "$daemon_ns" link add pst0 numrxqueues 2 numtxqueues 2 mtu 1500 \
		type veth peer name pst1 numrxqueues 2 numtxqueues 2 mtu 1500 netns "$sender_ns"
	# A veth leaves checksums to a card that is not there.
	ip netns exec "$sender_ns" ethtool -K pst1 tx off >/dev/null
	ip -n "$daemon_ns" address add $daemon_address/30 dev pst0
	ip -n "$sender_ns" address add $sender_address/30 dev pst1
	ip -n "$daemon_ns" link set lo up
	ip -n "$daemon_ns" link set pst0 up
	ip -n "$sender_ns" link set pst1 up
}

take_hugepages() {
	local knob=/proc/sys/vm/nr_hugepages before free more

	before=$(cat $knob)
	free=$(awk '$1 == "HugePages_Free:" {print $2}' /proc/meminfo)
	[ "$free" -lt $hugepages ] || return 0
	more=$((before + hugepages - free))
	# Not if somebody else has changed it since.
	undo "[ \"\$(cat $knob)\" != $more ] || echo $before >$knob"
	echo $more >$knob
}

# wait_for_log PATTERN: until the daemon has logged a line of that kind.
wait_for_log() {
	grep -qEm 1 "$1" < <(timeout "$start_limit_s" tail -n +1 -f --pid="$daemon_pid" "$log") ||
		die "the daemon did not come to say \"$1\" within $start_limit_s s"
}

start_daemon() {
	local -a inside=()

	[ "$source" = file ] || inside=(nsenter --net="/run/netns/$daemon_ns")
	"${inside[@]}" "$penstockd" --config "$config" >"$log" 2>&1 &
	daemon_pid=$!
	# It ends before the network and the memory that it uses.
	sed -i "2a if kill $daemon_pid; then timeout 40 tail -f --pid=$daemon_pid /dev/null || kill -9 $daemon_pid; fi" \
		"$dir/stop"
	wait_for_log 'waiting for dimension|ready'
}

push_dimension() {
	local name=$1 file=$2 key=$3

	"$penstock" dim build --from "$file" --key "$key" -o "$dir/$name.dim" >>"$dir/dim.log" 2>&1 ||
		die "dim build $name: $(tail -n 1 "$dir/dim.log")"
	"$penstock" dim push "$dir/$name.dim" >>"$dir/dim.log" 2>&1 ||
		die "dim push $name: $(tail -n 1 "$dir/dim.log")"
}

line_of_ledger() {
	"$penstock" status --json | jq -c --arg stream "$stream" '.streams[] | select(.name == $stream)'
}

show_progress() {
	jq -r --argjson sent "$1" '[
		"sent \($sent)", "received \(.received)", "durable \(.durable)",
		"lag \([$sent - .durable - .dead_lettered - .duplicate - .shed, 0] | max)"] | join("   ")' <<<"$2"
}

send_events() {
	local line

	: >"$dir/progress"
	nsenter --net="/run/netns/$sender_ns" "$penstock" send --to "$daemon_address:9000" --file "$dir/events.ndjson" \
		--rate "$rate" --source-ports 8 --follow "$PENSTOCK_SOCKET" --json >"$dir/sent.json" 2>"$dir/progress" &
	sender_pid=$!
	while read -r line; do
		jq -e .events <<<"$line" >/dev/null 2>&1 || continue
		show_progress "$(jq .events <<<"$line")" "$(line_of_ledger)"
	done < <(tail -n +1 -f --pid="$sender_pid" "$dir/progress")
	wait "$sender_pid" || die "the sender failed: $(tail -n 1 "$dir/progress")"
	sender_pid=''
}

# Until everything is received and nothing is in flight. Gives up when nothing has changed for a while: what is missing
# then is missing for good.
wait_until_settled() {
	local last='' line since=$SECONDS shown=$SECONDS

	while :; do
		line=$(line_of_ledger)
		if jq -e --argjson n "$count" '.received == $n and .in_flight == 0' <<<"$line" >/dev/null; then
			break
		fi
		if [ "$line" != "$last" ]; then
			last=$line since=$SECONDS
		elif [ $((SECONDS - since)) -ge $stall_limit_s ]; then
			say "nothing has moved for $stall_limit_s s" >&2
			break
		fi
		if [ $((SECONDS - shown)) -ge 1 ]; then
			show_progress "$count" "$line"
			shown=$SECONDS
		fi
		sleep 0.1
	done
	show_progress "$count" "$line"
}

stored() { # KIND: the stored records of the stream, also of a file that is still being written
	find "$lake/$stream/$1" -type f -name '*.zst*' -print0 | sort -z | xargs -0 -r zstd -dcq 2>/dev/null || true
}

show_example() {
	local enriched id colour=()

	[ ! -t 1 ] || colour=(-C)
	enriched=$(stored enriched | head -n 20000 | grep -m 1 '"enrichments":.*"product_details":.*"user_profile":.*"geo":') || true
	[ -n "$enriched" ] || die "no enriched event is in the files below $lake"
	id=$(jq -r .eventId <<<"$enriched")
	say '' "One event as it came:"
	stored raw | grep -F -m 1 "$id" || die "the raw event $id is not in the files below $lake"
	say '' "and as it left:"
	jq "${colour[@]}" . <<<"$enriched"
}

show_places() {
	local brokers prefix=''

	brokers=$("$penstock" status --json | jq -er '.sinks[] | select(.type == "kafka") | .brokers')
	[ "$source" = file ] || prefix="ip netns exec $daemon_ns "
	say "Topics raw_events_topic, enriched_events_topic, dead_letter_topic_enrichment on $brokers:"
	say "  ${prefix}kcat -b $brokers -C -t enriched_events_topic -o beginning -e -q | head -n 3"
	say "Files below $lake/$stream: raw, enriched, dead_letter:"
	say "  find $lake -name '*.zst*' | xargs zstd -dcq | head -n 3"
}

# What the generator says must be counted, against what was counted. Prints the differences.
differences() {
	jq -rn --argjson line "$1" --slurpfile expect "$expect" '
		$expect[0] as $e | $line as $l |
		def check($name; $counted; $expected):
			if $counted == $expected then empty else "\($name): counted \($counted), expected \($expected)" end;
		check("received"; $l.received; $e.sent),
		check("durable"; $l.durable; $e.durable),
		check("dead_lettered"; $l.dead_lettered; $e.dead_lettered),
		check("duplicate"; $l.duplicate; $e.duplicate),
		check("shed"; $l.shed; 0),
		check("in_flight"; $l.in_flight; 0),
		check("unknown products"; ($l.enrich[]? | select(.dimension == "products") | .misses); $e.unknown_products),
		(($l.drops | del(.duplicate)) as $drops | ($drops + $e.by_reason) | keys[] |
			check("reason \(.)"; $drops[.] // 0; $e.by_reason[.] // 0))'
}

say "Penstock demo: $count events, 3 % duplicates, 1 % malformed, 2 % of unknown products"
make_config
say "Making events and dimensions"
"$penstock" gen events --stream $stream --count "$count" --seed "$seed" --duplicates 3% --malformed 1% \
	--unknown-products 2% --products $products --users $users --places $places \
	--out "$dir/events.ndjson" --expect "$expect"
"$penstock" gen dimension --name products --rows $products --seed "$seed" --out "$dir/products.csv"
"$penstock" gen dimension --name users --rows $users --seed "$seed" --out "$dir/users.jsonl"
"$penstock" gen dimension --name places --rows $places --seed "$seed" --out "$dir/places.csv"

if [ "$source" = port ]; then
	say "Starting penstockd on AF_XDP: namespace $daemon_ns, port pst0, two queues"
	make_network
	take_hugepages
else
	say "Without root there is no port to receive from: the events come from a file, without hugepages"
fi
start_daemon
say "Building and pushing the dimensions products, users and places"
push_dimension users "$dir/users.jsonl" user_id
push_dimension places "$dir/places.csv" place_id
push_dimension products "$dir/products.csv" product_id # required: the daemon is ready with it
wait_for_log '(^|[^a-z])ready$'
rm -f "$dir"/*.csv "$dir"/*.jsonl "$dir"/*.dim

if [ "$source" = port ]; then
	say "Sending $rate events/s from namespace $sender_ns"
	send_events
fi
wait_until_settled
ledger=$(line_of_ledger)
wrong=$(differences "$ledger")

show_example
say '' "The ledger:"
"$penstock" status --json | jq -r '.streams[] | "  \(.name): received \(.received), durable \(.durable), " +
	"dead_lettered \(.dead_lettered), duplicate \(.duplicate), shed \(.shed), in_flight \(.in_flight)",
	(.drops | to_entries | sort_by(-.value)[] | "    \(.key) \(.value)")'
if [ -n "$wrong" ]; then
	say '' "It is not what the generator sent:"
	while read -r line; do say "  $line"; done <<<"$wrong"
	"$penstock" status --json | jq -c '.sources[]' | sed 's/^/  /'
	ok=no
else
	say "as the generator said, each reason included"
	ok=$(jq -r 'if .conserved then "yes" else "no" end' <<<"$ledger")
fi
say ''
show_places
if [ -n "$keep" ]; then
	say '' "It is left running. The CLI finds it by" "  export PENSTOCK_SOCKET=$PENSTOCK_SOCKET" \
		"and this stops it and removes everything:" "  $dir/stop"
else
	say "(make demo KEEP=1 leaves them there to look at)"
fi
say ''
jq -r --arg ok "$ok" '"conserved: \($ok) received=\(.received) durable=\(.durable) dead_lettered=\(.dead_lettered)" +
	" duplicate=\(.duplicate) shed=\(.shed) in_flight=\(.in_flight)"' <<<"$ledger"
[ "$ok" = yes ]
