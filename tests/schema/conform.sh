#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Usage: conform.sh FLATC SCHEMA BASE
# Succeeds if SCHEMA is an evolution of BASE by appending only, and if the check that says so does catch a change that
# is not one (a field of the base made another type).
set -eu
flatc=$1 schema=$2 base=$3

"$flatc" --conform "$base" "$schema"

broken=$(mktemp -d)
trap 'rm -rf "$broken"' EXIT
sed '0,/: ulong;/s//: string;/' "$schema" >"$broken/broken.fbs"
if cmp -s "$schema" "$broken/broken.fbs"; then
	echo "no field could be broken in $schema" >&2
	exit 1
fi
if "$flatc" --conform "$base" "$broken/broken.fbs" >"$broken/log" 2>&1; then
	echo "flatc --conform accepts an incompatible change of $schema" >&2
	exit 1
fi
echo "conforms to $base"
