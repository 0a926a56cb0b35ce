#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs the Debian packages that building, testing and the demo need. Quick and silent when nothing is missing.
set -euo pipefail

build_packages=(
	build-essential meson ninja-build pkg-config clang llvm bpftool
	libbpf-dev libxdp-dev libdpdk-dev dpdk libhyperscan-dev librdkafka-dev libjemalloc-dev libnuma-dev
	libflatbuffers-dev flatbuffers-compiler libyaml-dev libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev
	libzstd-dev libxxhash-dev libsimdjson-dev libcmocka-dev libssl-dev libsystemd-dev
	ethtool iproute2 jq kcat procps zstd
)
test_packages=(
	clang-format clang-tidy libclang-rt-14-dev shellcheck strace ltrace curl libpcap-dev tcpdump iputils-ping
	netcat-openbsd man-db mandoc prometheus python3 openssl openjdk-17-jre-headless maven
	qemu-system-x86 linux-image-amd64 busybox-static
)

usage() {
	cat <<-TEXT
		Usage: tools/setup.sh [--build | --list]

		  --build  only what building and the demo need
		  --list   print the packages and do nothing
	TEXT
}

packages=("${build_packages[@]}" "${test_packages[@]}")
case "${1-}" in
'') ;;
--build) packages=("${build_packages[@]}") ;;
--list)
	printf '%s\n' "${packages[@]}"
	exit 0
	;;
--help | -h)
	usage
	exit 0
	;;
*)
	usage >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "setup: this is not Debian; needed are: ${packages[*]}" >&2
	exit 1
fi

# dpkg-query fails when it does not know one of them, which is what a fresh machine is like.
installed=$({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true; } |
	sed -n 's/^installed //p')
missing=()
for package in "${packages[@]}"; do
	grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

echo "setup: missing: ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
	echo "setup: root is needed to install them; run:" >&2
	echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# Only the programs are wanted (promtool of the package prometheus), no daemon: none is started now, none at boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
log=$(mktemp)
apt() {
	if ! DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "setup: apt-get $1 failed; the whole output is in $log" >&2
		exit 1
	fi
}
echo "setup: apt-get update"
apt update
echo "setup: apt-get install, ${#missing[@]} packages"
apt install --no-install-recommends "${missing[@]}"
rm -f "$log"
if [[ " ${missing[*]} " == *" prometheus "* ]] && command -v systemctl >/dev/null; then
	systemctl disable prometheus.service >/dev/null 2>&1 ||
		echo "setup: could not disable prometheus.service, which nothing here needs" >&2
fi
echo "setup: done"
