#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# libpenstock as it is installed: pkg-config finds it, the example compiles against it (shared and static, C and C++), runs
# without anything else of Penstock, and the library shows no symbol that is not its own.
set -euo pipefail
build=$1
root=$2
version=$3
dir=$(mktemp -d /tmp/penstock-install-XXXXXX)
trap 'rm -rf "$dir"' EXIT

meson install -C "$build" --no-rebuild --destdir "$dir" --tags devel,runtime,man >"$dir/install.log" || {
	cat "$dir/install.log"
	exit 1
}
pc=$(find "$dir" -name libpenstock.pc)
[ -n "$pc" ] || { echo "no libpenstock.pc is installed"; exit 1; }
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir
[ "$(pkg-config --modversion libpenstock)" = "$version" ] || { echo "libpenstock.pc has another version"; exit 1; }
read -ra cflags < <(pkg-config --cflags libpenstock)
read -ra libs < <(pkg-config --libs libpenstock)
read -ra static < <(pkg-config --libs --static libpenstock)
so=$(find "$dir" -name 'libpenstock.so')
lib=${so%/*}

# Away from the sources, so that only what is installed can be found.
cp "$root/tools/libpenstock/example.c" "$dir/example.c"
cd "$dir"
cc -std=c99 -Wall -Wextra -Werror -o shared example.c "${cflags[@]}" "${libs[@]}"
cc -Wall -Wextra -Werror -o static example.c "${cflags[@]}" "${static[@]/#-lpenstock/-l:libpenstock.a}"
printf '#include <penstock.h>\nint main() { penstock_options o{}; penstock *p; return penstock_open(&o, &p, nullptr) == 0; }\n' >user.cc
c++ -Wall -Wextra -Werror -o user user.cc "${cflags[@]}" "${libs[@]}"
export LD_LIBRARY_PATH=$lib
./user
for program in ./shared ./static; do
	[ "$($program s 127.0.0.1:9 </dev/null | tr '\n' ' ')" = "durable 0 duplicate 0 rejected 0 spilled 0 unknown 0 " ] ||
		{ echo "$program: not what an empty input gives"; exit 1; }
	if $program s nowhere </dev/null 2>message; then
		echo "$program: takes an address without a port"
		exit 1
	fi
	grep -q 'is not host:port' message
done

foreign=$(nm -D --defined-only "$so" | awk '$2 ~ /[TBDRVW]/ {print $3}' | grep -v '^penstock_' || true)
[ -z "$foreign" ] || { echo "libpenstock.so shows:" "$foreign"; exit 1; }
nm -D --defined-only "$so" | grep -q ' T penstock_open$'
needed=$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -Ev '^(libc|libm|libcrypto)\.so' || true)
case $needed in
'' | libasan* | libubsan* | libtsan*) ;;
*) echo "libpenstock.so needs:" "$needed"; exit 1 ;;
esac
[ -f "$(find "$dir" -name libpenstock.3)" ] || { echo "libpenstock(3) is not installed"; exit 1; }
