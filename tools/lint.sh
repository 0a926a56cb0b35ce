#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Looks at the sources: clang-format, shellcheck, clang-tidy, and a build in which warnings are errors.
# With --format it only formats. Prints what fails; exit 1 if anything does.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
dir=build-lint
failed=0

fail() {
	echo "lint: $1 FAILED" >&2
	failed=1
}

mapfile -t formatted < <(git ls-files '*.c' '*.h' '*.cc')
if [ "${1-}" = --format ]; then
	exec clang-format -i "${formatted[@]}"
fi

clang-format --dry-run --Werror "${formatted[@]}" || fail "clang-format (make format mends it)"

mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
shellcheck -x -P SCRIPTDIR "${scripts[@]}" || fail shellcheck

if tools/build.sh "$dir" -Dwerror=true; then
	# Only C files of the build: the XDP program is compiled for another machine.
	mapfile -t tidied < <(jq -r '.[].file' "$dir/compile_commands.json" | sed 's|^\.\./||' |
		grep -xFf <(git ls-files '*.c') | sort -u)
	printf '%s\0' "${tidied[@]}" |
		xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$dir" --quiet --extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*' 2>"$dir/clang-tidy.log" ||
		fail clang-tidy
else
	fail "build with warnings as errors"
fi

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
