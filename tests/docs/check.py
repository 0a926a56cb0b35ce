#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""check.py SOURCE PENSTOCK PENSTOCKD REFERENCE: what the documents say exists, and what exists is in the documents."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

SOURCE, PENSTOCK, PENSTOCKD, REFERENCE = (os.path.abspath(argument) for argument in sys.argv[1:])
DEADLINE_S = 60
CODE = re.compile(r"`([^`\n]+)`")
FENCED = re.compile(r"^```(\w*).*?\n(.*?)^```", re.M | re.S)
IN_TREE = re.compile(r"^(?:docs|tools|tests|perf|flatbuffers|ebpf|dataplane|controlplane)/[\w./-]+$")

# Names of the status that say who or where, and no number: they explain themselves.
PLAIN = {"node", "version", "pid", "name", "type", "worker", "lcore", "cpu", "udp_port", "path", "device", "interface",
         "stream", "stage", "topic", "dimension", "as", "mode", "http", "socket", "uptime_s", "since_ms"}

CONFIG = """
dataplane: {{lcores: ["1@0"], memory_mb: 64, hugepages: "off"}}
sources: [{{name: f, type: file, path: {dir}/events.ndjson, stream: s}}]
streams:
  - name: s
    fields: {{id: {{type: string, required: true}}}}
    dedup: {{budget_mb: 1}}
    enrich: [{{dimension: d, key: id, as: d}}]
    output: {{raw: r, enriched: e, dead_letter: x}}
dimensions: {{d: {{}}}}
sinks: {{kafka: {{bootstrap: embedded}}, files: {{directory: {dir}/lake}}}}
control: {{socket: {dir}/control.sock, state: {dir}/state, http: "127.0.0.1:0"}}
"""


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def read_documents():
    paths = [os.path.join(SOURCE, "README.md")]
    for directory, _, names in os.walk(os.path.join(SOURCE, "docs")):
        paths += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".md")]
    documents = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            documents[os.path.relpath(path, SOURCE)] = file.read()
    return documents


def anchors(text):
    for title in re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.M):
        yield re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def links(documents):
    """Every relative link leads somewhere, and every path in code style is in the tree."""
    for name, text in documents.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text)):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(SOURCE, os.path.dirname(name), path)) if path else os.path.join(SOURCE, name)
            if not os.path.exists(full):
                yield f"{name}: there is no {target}"
            elif anchor and full.endswith(".md"):
                with open(full, encoding="utf-8") as file:
                    if anchor not in anchors(file.read()):
                        yield f"{name}: {target} has no such heading"
        for code in CODE.findall(FENCED.sub("", text)):
            if IN_TREE.match(code) and not os.path.exists(os.path.join(SOURCE, code)):
                yield f"{name}: there is no {code}"


def config_keys():
    """{"sinks.files.rotate", ...} and the names of all sections."""
    paths, section = set(), ""
    for line in output(REFERENCE, "keys").splitlines():
        heading, row = re.match(r"### `?([^`]*)`?$", line), re.match(r"\| `(\w+)` \|", line)
        if heading:
            section = "" if heading[1] == "The top" else heading[1].replace("[]", "") + "."
        elif row:
            paths.add(section + row[1])
    return paths


def keys(documents):
    """Configuration keys that are named exist: section.key in code style, and every key of a YAML example."""
    paths = config_keys()
    sections = {part for path in paths for part in path.split(".")[:-1]}
    known = {part for path in paths for part in path.split(".")} | {"file"}
    suffixes = {".".join(path.split(".")[i:]) for path in paths for i in range(path.count(".") + 1)}
    seen = 0
    for name, text in documents.items():
        for code in CODE.findall(FENCED.sub("", text)):
            if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", code) and code.split(".")[0] in sections:
                seen += 1
                if code not in suffixes:
                    yield f"{name}: there is no key {code}"
        for kind, block in FENCED.findall(text):
            block = re.sub(r"#.*", "", block) if kind == "yaml" else ""
            for key in re.findall(r"(?:^|[\s{,])([a-z_.]+):(?=\s|$)", block, re.M):
                seen += 1
                if "." not in key and key not in known:
                    yield f"{name}: there is no key {key}"
    if seen < 10 or len(paths) < 50:
        yield f"only {seen} keys were found in the documents, {len(paths)} in the table"


def metrics_in_documents(documents):
    """Metrics that are named exist; that all are named is what docs/control-api.md is generated for."""
    known = set(re.findall(r"\| `(\w+)` \|", output(REFERENCE, "metrics")))
    named = set()
    with open(os.path.join(SOURCE, "tools/libpenstock/penstock.h"), encoding="utf-8") as header:
        library = set(re.findall(r"\bpenstock_[a-z_]+\b", header.read()))
    for name, text in documents.items():
        for metric in re.findall(r"\bpenstock_[a-z_]+\b", text):
            if metric in library:
                continue
            named.add(metric)
            if metric not in known:
                yield f"{name}: there is no metric {metric}"
    for metric in known - named:
        yield f"no document names the metric {metric}"


def reasons(documents):
    known = set(re.findall(r"^\| `(\w+)` \|", output(REFERENCE, "reasons"), re.M))
    for name in ("README.md", "docs/getting-started.md", "docs/operations.md", "docs/architecture.md"):
        for code in CODE.findall(FENCED.sub("", documents[name])):
            if re.fullmatch(r"(frame|json|field|shed)_[a-z_0-9]+|timestamp_(invalid|past|future)", code) and code not in known:
                yield f"{name}: there is no reason {code}"


def verbs(documents):
    """Every `penstock VERB --option` in the documents exists."""
    known = output(PENSTOCK, "--verbs").split("\n")
    helps = {}
    for name, text in documents.items():
        places = CODE.findall(FENCED.sub("", text))
        for kind, block in FENCED.findall(text):
            if kind in ("sh", "console", "ini"):
                places += block.replace("\\\n", " ").splitlines()
        for place in places:
            for call in re.findall(r"(?<![\w./$-])penstock ([a-z][^|;#&)]*)", place):
                words = call.split()
                verb = next((v for v in (" ".join(words[:2]), words[0]) if v in known), None)
                if verb is None:
                    yield f"{name}: there is no penstock {' '.join(words[:2])}"
                    continue
                if verb not in helps:
                    helps[verb] = output(PENSTOCK, *verb.split(), "--help")
                for option in re.findall(r"(?<=\s)--[a-z-]+", call):
                    if option not in helps[verb]:
                        yield f"{name}: penstock {verb} has no {option}"


def examples(_documents):
    directory = os.path.join(SOURCE, "docs", "examples")
    names = [name for name in os.listdir(directory) if name.endswith(".yaml")]
    for name in names:
        check = subprocess.run([PENSTOCK, "check", os.path.join(directory, name)], capture_output=True, text=True)
        if check.returncode != 0:
            yield check.stderr.strip()
    if len(names) < 3:
        yield f"only {len(names)} examples"


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def members(value):
    """The names of all members, except where names are data."""
    if isinstance(value, list):
        for item in value:
            yield from members(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            if name != "drops":
                yield from members(item)


def daemon(documents):
    """Everything that a running daemon shows is explained in docs/operations.md, its metrics in docs/control-api.md."""
    explained = {word for code in CODE.findall(documents["docs/operations.md"]) for word in re.findall(r"\w+", code)}
    tabled = set(re.findall(r"^\| `(\w+)` \|", documents["docs/control-api.md"], re.M))
    with tempfile.TemporaryDirectory(prefix="penstock-docs-") as directory:
        with open(f"{directory}/events.ndjson", "w", encoding="utf-8") as file:
            file.write('{"id":"a"}\n{"id":1}\n{"id":"a"}\n')
        with open(f"{directory}/c.yaml", "w", encoding="utf-8") as file:
            file.write(CONFIG.format(dir=directory))
        socket = f"{directory}/control.sock"
        with open(f"{directory}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([PENSTOCKD, "--config", f"{directory}/c.yaml"], stdout=log, stderr=log)
        try:
            def settled():
                if process.poll() is not None:
                    raise ChildProcessError("penstockd has ended")
                status = subprocess.run([PENSTOCK, "--socket", socket, "status", "--json"], capture_output=True, text=True)
                return status.returncode == 0 and '"received":3' in "".join(status.stdout.split())
            wait_for(settled, "three events are not received")
            status = json.loads(output(PENSTOCK, "--socket", socket, "status", "--json"))
            metrics = output("curl", "-s", "--unix-socket", socket, "http://penstock/metrics")
        except (TimeoutError, ChildProcessError):
            with open(f"{directory}/log", encoding="utf-8") as log:
                sys.stdout.write(log.read())
            raise
        finally:
            process.terminate()
            process.wait()
    for name in sorted(set(members(status)) - explained - PLAIN):
        yield f"docs/operations.md does not explain {name} of the status"
    named = set(re.findall(r"^# TYPE (\w+)", metrics, re.M))
    for name in sorted(named - tabled):
        yield f"docs/control-api.md does not name the metric {name}"
    if len(named) < 30:
        yield f"only {len(named)} metrics"


def main():
    documents = read_documents()
    failed = False
    for check in (links, keys, metrics_in_documents, reasons, verbs, examples, daemon):
        wrong = list(check(documents))
        print(f"{'not ok' if wrong else 'ok'} - {check.__name__}")
        for line in wrong:
            print(line)
        failed = failed or bool(wrong)
    sys.exit(1 if failed else 0)


main()
