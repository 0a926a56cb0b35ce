#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A small and slow run of the demo: its last line and its exit status say whether the ledger is what the generator
# said, and nothing of it may be left behind. Usage: demo.sh port|file BUILD-DIRECTORY
set -euo pipefail
export SOURCE=$1 BUILD=$2 COUNT=50000 RATE=20000 KEEP=''
if [ "$SOURCE" = port ] && [ "$(id -u)" -ne 0 ]; then
	echo "needs root"
	exit 77
fi
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

"$(dirname "$0")/../../tools/demo.sh" | tee "$TMPDIR/output"
tail -n 1 "$TMPDIR/output" | grep -E "^conserved: yes received=$COUNT durable=[0-9]+ dead_lettered=[0-9]+ duplicate=[0-9]+ shed=0 in_flight=0$"
if compgen -G "$TMPDIR/penstock-demo.*"; then
	echo "the demo has left its directory"
	exit 1
fi
