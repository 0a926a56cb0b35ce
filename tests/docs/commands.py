#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""commands.py SOURCE BUILD FILE.md: runs the commands of a document, as its reader would.

```sh blocks are run, in the order of the document and in one shell, which stops at the first command that fails.
```sh root blocks are run as root after the others, in a network and a /run of their own; without root they are
skipped. The other blocks are run without any capability, whoever runs this. A ```text block right after a block
that is run is what it prints: each line must come, in that order, and … stands for anything. Blocks of any other
kind (```console, ```yaml) are only shown.

The shell starts in a directory that looks like the top of the sources, with BUILD as `build`. Everything that is
made there, and every process, is gone afterwards.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

DEADLINE_S = 150
HUGEPAGES = 80  # of 2 MB, for the packet memory of a port in the documents
FENCE = re.compile(r"^```(\S*)[ \t]*(\S*)\s*$")


class Block:
    def __init__(self, line, root):
        self.line, self.root = line, root
        self.commands, self.expected = [], []


def read_blocks(path):
    blocks, into, last = [], None, None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fence = FENCE.match(line)
            if fence and into is None:
                into = []
                if fence[1] == "sh":
                    last = Block(number, fence[2] == "root")
                    blocks.append(last)
                    into = last.commands
                elif fence[1] == "text" and last:
                    into = last.expected
                else:
                    last = None
            elif fence:
                into = None
            elif into is not None:
                into.append(line.rstrip("\n"))
            elif line.strip():
                last = None  # prose: a ```text block after it is no output
    return blocks


def one_line(text):
    return " ".join(text.split())


def missing_line(expected, output):
    """The first expected line that does not come, or None."""
    lines = iter([one_line(line) for line in output.splitlines()])
    for line in expected:
        wanted = ".*".join(re.escape(part) for part in one_line(line).split("…"))
        if wanted and not any(re.fullmatch(wanted, got) for got in lines):
            return line
    return None


def make_script(blocks, place, before):
    parts = ["set -eo pipefail", before]
    for block in blocks:
        parts.append(f"exec >'{place}/{block.line}' 2>&1")
        parts.extend(block.commands)
    parts += [f"exec >'{place}/end' 2>&1", f"export -p >'{place}/environment'", f"pwd >'{place}/directory'"]
    return "\n".join(parts) + "\n"


def run(wrapper, blocks, place, top, before):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK")}
    environment.update(TMPDIR=top, HOME=top)
    # The shell and all that it starts are one process group, which ends with it.
    shell = subprocess.Popen(wrapper + ["bash", "-c", make_script(blocks, place, before)], cwd=f"{top}/penstock",
                             env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return shell.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        return f"not done after {DEADLINE_S} s"
    finally:
        try:
            os.killpg(shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        shell.wait()


def judge(name, blocks, place, status):
    """Prints ok or not ok for each block; the one that was not left is the one that failed."""
    bad = False
    for index, block in enumerate(blocks):
        following = blocks[index + 1].line if index + 1 < len(blocks) else "end"
        path = f"{place}/{block.line}"
        output = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                output = file.read()
        if not os.path.exists(path):
            wrong = "not reached"
        elif not os.path.exists(f"{place}/{following}"):
            wrong = f"failed: {status}"
        else:
            missing = missing_line(block.expected, output)
            wrong = missing and f"does not print: {missing}"
        print(f"{'not ok' if wrong else 'ok'} - {name}:{block.line}")
        if wrong:
            print(f"{name}:{block.line}: {wrong}")
            print("\n".join("    " + line for line in output.splitlines()[-30:]))
            bad = True
    return bad


def why_not_as_root():
    if os.geteuid() != 0:
        return "needs root"
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode != 0:
        return "needs network namespaces"
    with open("/proc/meminfo", encoding="ascii") as file:
        free = int(re.search(r"HugePages_Free:\s+(\d+)", file.read())[1])
    if free < HUGEPAGES:
        return f"needs {HUGEPAGES} free hugepages, {free} are"
    return None


def main():
    source, build, path = (os.path.abspath(argument) for argument in sys.argv[1:])
    name = os.path.relpath(path, source)
    blocks = read_blocks(path)
    plain = [block for block in blocks if not block.root]
    as_root = [block for block in blocks if block.root]
    if not plain:
        sys.exit(f"{name}: there is no command in it")
    top = tempfile.mkdtemp(prefix="penstock-docs-")
    try:
        os.mkdir(f"{top}/penstock")
        os.mkdir(f"{top}/out")
        for entry in os.listdir(source):
            if entry != ".git" and not entry.startswith("build"):
                os.symlink(f"{source}/{entry}", f"{top}/penstock/{entry}")
        os.symlink(build, f"{top}/penstock/build")
        place = f"{top}/out"
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        bad = judge(name, plain, place, run(drop, plain, place, top, ":"))
        reason = "the blocks before failed" if bad else why_not_as_root()
        if as_root and reason:
            for block in as_root:
                print(f"ok - {name}:{block.line} # SKIP {reason}")
        elif as_root:
            before = f"mount -t tmpfs tmpfs /run; ip link set lo up; . '{place}/environment'; cd \"$(cat '{place}/directory')\""
            os.rename(f"{place}/end", f"{place}/end of the first shell")
            status = run(["unshare", "--net", "--mount"], as_root, place, top, before)
            bad = judge(name, as_root, place, status)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    sys.exit(1 if bad else 0)


main()
