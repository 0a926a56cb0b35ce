#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every verb has --help and a man page without warnings.
set -euo pipefail
penstock=$1
root=$2
page=$(mktemp)
trap 'rm -f "$page"' EXIT
failed=0

check() { # NAME
	if ! mandoc -T lint -W warning "$page" || ! man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null | diff /dev/null -; then
		echo "man page of $1 has warnings"
		failed=1
	fi
}

"$penstock" --man >"$page"
check penstock
count=0
while read -r verb; do
	count=$((count + 1))
	name=penstock-${verb// /-}
	# shellcheck disable=SC2086 # a verb may be two words
	if ! "$penstock" $verb --help | grep -q '^Usage: penstock '; then
		echo "penstock $verb --help does not begin with its usage"
		failed=1
	fi
	if [ -e "$root/docs/man/$name.1" ]; then
		cp "$root/docs/man/$name.1" "$page"
	else
		# shellcheck disable=SC2086
		"$penstock" $verb --man >"$page"
	fi
	check "$name"
	grep -qx "  '$verb'," "$root/docs/man/meson.build" || { echo "docs/man/meson.build does not install $name"; failed=1; }
	"$penstock" --man | grep -q "penstock\\\\-${verb// /\\\\-}" || { echo "penstock(1) does not name $name"; failed=1; }
done < <("$penstock" --verbs)
[ "$count" -ge 10 ]
for file in "$root"/docs/man/*.[1-8]; do
	[ -e "$file" ] || continue
	cp "$file" "$page"
	check "$file"
done
exit "$failed"
