#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Delivery reports or transactions? Starts a real Kafka broker and produces to it, by turns, with delivery reports as
acknowledgements and in transactions committed every 10, 50 and 100 ms (perf/commit.c): as fast as it goes, which gives
records per second and CPU time, and at a fixed rate, which gives latencies. Then what reading back costs: how long the
daemon takes to restore its window after a kill, with nothing and with RECORDS records to read in the topic.

Prints medians of ROUNDS rounds, with the lowest and the highest. Usage: [BUILD=build] perf/commit.py
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault('PENSTOCK_BUILD', str((ROOT / os.environ.get('BUILD', 'build')).resolve()))
sys.path[:0] = [str(ROOT / 'tests' / 'e2e'), str(ROOT / 'tests' / 'broker')]
sys.dont_write_bytecode = True

import kafka  # noqa: E402 (the path comes first)
from appliance import BUILD, DEADLINE_S, PENSTOCKD, Failed, command, wait_until  # noqa: E402

COMMIT = BUILD / 'perf' / 'commit'
ADMIN = BUILD / 'tests' / 'broker' / 'kafka_admin'
MODES_MS = (0, 10, 50, 100)  # 0: delivery reports
PARTITIONS = 4
RECORDS = 200000
RATE, RATE_RECORDS = 20000, 50000
ROUNDS = 3
WARM_UP = 50000  # the broker's JVM compiles what it runs
COLUMNS = (('records_per_s', ',.0f'), ('cpu_us_per_record', '.2f'), ('broker_us_per_record', '.2f'), ('p50_ms', '.1f'),
           ('p99_ms', '.1f'))
TICKS = os.sysconf('SC_CLK_TCK')

CONFIG = """
control: {{state: {directory}/state, socket: {directory}/socket}}
dataplane: {{lcores: ["1@{cpu}"], hugepages: off, memory_mb: 64}}
sources: [{{name: input, type: file, path: "{directory}/events", stream: tail}}]
sinks: {{kafka: {{bootstrap: "{brokers}"}}}}
streams:
  - name: tail
    identity: id
    fields: {{id: {{type: string, required: true}}}}
    unknown_fields: keep
    dedup: {{window: 1h, budget_mb: 16}}
    output: {{enriched: {topic}, dead_letter: {topic}-dead}}
"""


class Bench:
    def __init__(self, broker):
        self.broker, self.topics = broker, 0

    def cpu_s(self):
        """The broker's, so far."""
        fields = Path(f'/proc/{self.broker.process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def produce(self, topic, records, rate, commit_ms):
        before = self.cpu_s()
        done = command(COMMIT, self.broker.plain, topic, records, rate, commit_ms)
        return {**json.loads(done.stdout), 'broker_us_per_record': (self.cpu_s() - before) * 1e6 / records}

    def run(self, records, rate, commit_ms):
        self.topics += 1
        topic = f'run-{self.topics}'
        self.broker.create(topic, partitions=PARTITIONS)
        figures = self.produce(topic, records, rate, commit_ms)
        self.broker.delete(topic)
        return figures


def restart(directory):
    """Starts the daemon and kills it when it is ready. Returns the records that it read and how long restoring took."""
    log = directory / 'penstockd.log'
    with open(log, 'wb') as out:
        daemon = subprocess.Popen([PENSTOCKD, '--config', directory / 'penstock.yaml'], stderr=out)
    try:
        wait_until(lambda: re.search('^.*ready$', log.read_text(), re.MULTILINE) or daemon.poll() is not None, 'ready')
    finally:
        daemon.kill()
        daemon.wait(DEADLINE_S)
    found = re.search(r'from (\d+) records of the output topics.* in ([0-9.]+) s', log.read_text())
    if found is None:
        raise Failed(f'the daemon restored nothing: {log.read_text()[-500:]}')
    return int(found[1]), float(found[2])


def spread(values, form):
    low, middle, high = (format(x, form) for x in (min(values), statistics.median(values), max(values)))
    return f'{middle} ({low}–{high})'


def transactions(bench):
    for commit_ms in MODES_MS[:2]:
        bench.run(WARM_UP, 0, commit_ms)
    fast, paced = ({mode: [] for mode in MODES_MS} for _ in range(2))
    for _ in range(ROUNDS):
        for mode in MODES_MS:
            fast[mode].append(bench.run(RECORDS, 0, mode))
            paced[mode].append(bench.run(RATE_RECORDS, RATE, mode))
    for title, runs in ((f'{RECORDS} records as fast as it goes', fast), (f'{RATE} records/s', paced)):
        print(f'{title}\n| acknowledged by | records/s | CPU µs/record | broker CPU µs/record | p50 ms | p99 ms '
              '| commits/s | ms in a commit |\n|---|---|---|---|---|---|---|---|')
        for mode in MODES_MS:
            columns = [spread([run[name] for run in runs[mode]], form) for name, form in COLUMNS]
            commits = statistics.median(run['commits'] / run['seconds'] for run in runs[mode])
            inside = statistics.median(run['commit_ms'] for run in runs[mode])
            print('|', f'commit every {mode} ms' if mode else 'delivery report', '|', ' | '.join(columns),
                  f'| {commits:.0f} | {inside:.1f} |')


def reading_back(bench, directory):
    empty, full = [], []
    for number in range(ROUNDS):
        # A topic and a state of their own: what was read once is below the next checkpoint.
        home, topic = directory / f'{number}', f'tail-{number}'
        home.mkdir()
        (home / 'penstock.yaml').write_text(CONFIG.format(
            directory=home, topic=topic, cpu=max(os.sched_getaffinity(0)), brokers=bench.broker.plain))
        (home / 'events').touch()
        bench.broker.create(topic, partitions=PARTITIONS)
        bench.broker.create(f'{topic}-dead')
        restart(home)
        empty.append(restart(home))
        bench.produce(topic, RECORDS, 0, 0)
        full.append(restart(home))
    for runs in (empty, full):
        print(f'restart after a kill: {" ".join(str(n) for n, _ in runs)} records read in '
              f'{spread([s for _, s in runs], ".2f")} s')


def main():
    kafka.need()
    with tempfile.TemporaryDirectory(prefix='pst-commit-') as name:
        directory = Path(name)
        load = os.getloadavg()[0]
        with kafka.Broker(directory, ADMIN) as broker:
            bench = Bench(broker)
            transactions(bench)
            reading_back(bench, directory)
        print(f'load average {load:.1f} before, {os.getloadavg()[0]:.1f} after')


if __name__ == '__main__':
    main()
