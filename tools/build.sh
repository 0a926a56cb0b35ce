#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Configures a build directory if it is new, and builds. Usage: tools/build.sh DIR [MESON-OPTION...]
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
shift

if [ ! -f "$dir/build.ninja" ]; then
	echo "build: configuring $dir"
	mkdir -p "$dir"
	if ! meson setup "$dir" "$@" >"$dir.log" 2>&1; then
		tail -n 20 "$dir.log" >&2
		exit 1
	fi
	rm -f "$dir.log"
fi
ninja --quiet -C "$dir"
