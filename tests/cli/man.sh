#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every verb has --help and a man page without warnings.
set -euo pipefail
penstock=$1
root=$2
# No dot in the path: mandoc would take what follows for the section.
dir=$(mktemp -d /tmp/penstock-man-XXXXXX)
trap 'rm -rf "$dir"' EXIT
failed=0
page=$dir/page

check() { # NAME
	if ! mandoc -T lint -W warning "$page" || ! man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null | diff /dev/null -; then
		echo "man page of $1 has warnings"
		failed=1
	fi
}

"$penstock" --man >"$page"
main=$(<"$page")
check penstock
count=0
while read -r verb; do
	count=$((count + 1))
	name=penstock-${verb// /-}
	# shellcheck disable=SC2086 # a verb may be two words
	"$penstock" $verb --help >"$page"
	if ! head -n 1 "$page" | grep -Eq '^[Uu]sage: penstock '; then
		echo "penstock $verb --help does not begin with its usage"
		failed=1
	fi
	# shellcheck disable=SC2086
	"$penstock" $verb --man >"$page"
	check "$name"
	if ! grep -qx "  '$verb'," "$root/docs/man/meson.build"; then
		echo "docs/man/meson.build does not install $name"
		failed=1
	fi
	[[ $main == *"penstock\\-${verb// /\\-}\\fR(1)"* ]] || { echo "penstock(1) does not name $name"; failed=1; }
done < <("$penstock" --verbs)
[ "$count" -ge 10 ]
for file in "$root"/docs/man/*.[1-8]; do
	[ -e "$file" ] || continue
	cp "$file" "$page"
	check "$file"
done
exit "$failed"
