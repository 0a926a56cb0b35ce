#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tables.py REFERENCE --check|--write FILE...: the generated tables between
<!-- table: NAME --> and <!-- end of table --> in Markdown files."""
import re
import subprocess
import sys

reference, mode, *paths = sys.argv[1:]
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.S)


def fresh(match):
    table = subprocess.run([reference, match[2]], capture_output=True, text=True, check=True).stdout
    return f"{match[1]}\n{table}\n{match[3]}"


status = 0
for path in paths:
    with open(path, encoding="utf-8") as file:
        old = file.read()
    new, count = MARKED.subn(fresh, old)
    if count == 0:
        print(f"{path}: there is no table in it")
        status = 1
    elif new != old and mode == "--write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(new)
        print(f"{path}: written")
    elif new != old:
        print(f"{path}: a table is not what the code says; run `ninja -C build docs-tables`")
        status = 1
sys.exit(status)
