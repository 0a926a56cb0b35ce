#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""durability: journal, with the real daemon: what it says is durable reaches Kafka, through an outage, a shutdown in the middle
of one, kill -9 at random moments, and a disk that is full. Events come from standard input; the broker is another process.
The full disk needs root, for a file system of its own; the rest needs nothing. Prints TAP.

Usage: journal.py MOCK_BROKER [KILLS]
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from appliance import DEADLINE_S, PENSTOCKD, Broker, Failed, Tap, UnixConnection, command, consume, wait_until

TOPICS = ('raw', 'enriched', 'dead')
SEED = 7
CONFIG = """
durability: {durability}
{journal}
control: {{state: {directory}/state-{name}, socket: {directory}/{name}.sock, http: off, drain: {drain}s}}
dataplane: {{lcores: ["1@{cpu}"], hugepages: off, memory_mb: 64}}
sources: [{{name: input, type: file, path: "-", stream: s}}]
sinks: {{kafka: {{bootstrap: "{brokers}", headers: none}}}}
streams:
  - name: s
    identity: id
    fields: {{id: {{type: string, required: true}}}}
    dedup: {{budget_mb: 4}}
    output: {{raw: raw, enriched: enriched, dead_letter: dead}}
"""


class Daemon:
    """One run of the daemon, fed through its standard input."""

    def __init__(self, directory, brokers, name='one', durability='journal', journal=None, drain=2):
        self.directory, self.name = Path(directory), name
        journal = journal or f'{directory}/journal'
        section = f'journal: {{directory: {journal}, segment_mb: 4, max_gb: 1}}' if durability == 'journal' else ''
        config = self.directory / f'{name}.yaml'
        config.write_text(CONFIG.format(directory=directory, name=name, journal=section, durability=durability,
                                        drain=drain, brokers=brokers, cpu=max(os.sched_getaffinity(0))))
        self.log_path = self.directory / f'{name}.log'
        with open(self.log_path, 'ab') as log:
            self.begin = log.tell()
            self.process = subprocess.Popen([PENSTOCKD, '--config', config], stdin=subprocess.PIPE, stdout=log,
                                            stderr=subprocess.STDOUT)
        self.socket = self.directory / f'{name}.sock'

    def log(self):
        return self.log_path.read_bytes()[self.begin:].decode(errors='replace')

    def wait_log(self, pattern):
        def look():
            found = re.search(pattern, self.log(), re.MULTILINE)
            if not found and self.process.poll() is not None:
                raise Failed(f'it ended before it said "{pattern}": {self.log()[-800:]}')
            return found
        return wait_until(look, f'the daemon says "{pattern}"')

    def status(self):
        connection = UnixConnection(self.socket)
        try:
            connection.request('GET', '/v1/status')
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def feed(self, first, count):
        self.process.stdin.write(b''.join(event(i) for i in range(first, first + count)))
        self.process.stdin.flush()

    def wait_durable(self, count):
        def look():
            stream = self.status()['streams'][0]
            return stream['durable'] + stream['dead_lettered'] >= count
        try:
            wait_until(look, f'{count} events are durable')
        except Failed as error:
            raise Failed(f'{error}: {json.dumps(self.status())}') from error

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        return status


def event(number):
    return b'{"id":"%08d","text":"%s"}\n' % (number, b'x' * 40)


def identities(broker, topic='enriched'):
    return [int(json.loads(value)['id']) for _, _, value in consume(broker.address, topic)]


def outage_and_shutdown(test, broker, directory):
    daemon = Daemon(directory, broker.address)
    daemon.wait_log('ready$')
    daemon.feed(0, 1000)
    daemon.wait_durable(1000)
    wait_until(lambda: daemon.status()['journal']['backlog_events'] == 0, 'all of it is delivered')
    broker.tell('down')
    daemon.feed(1000, 20000)
    daemon.wait_durable(21000)
    status = daemon.status()
    journal, sink = status['journal'], status['sinks'][0]
    test.check('the sink counts bytes of records, not of files', 0 < sink['bytes'] < journal['bytes_written'], sink)
    test.check('without a broker events are durable, and wait', journal['backlog_events'] == 20000, journal)
    other = Daemon(directory, broker.address, name='two')
    test.check('a second daemon on the same journal is refused',
               other.process.wait(DEADLINE_S) == 1 and 'journal: in use by another penstockd' in other.log(), other.log())
    begin = time.monotonic()
    status = daemon.end()
    took = time.monotonic() - begin
    test.check('SIGTERM during the outage: exit 0, and what is left is said', status == 0 and
               'journal: 20000 events are not delivered yet' in daemon.log(), (status, daemon.log()[-800:]))
    test.check('the ledger balances', 'conserved: yes received=21000 durable=21000' in daemon.log(), daemon.log()[-800:])
    print(f'# it took {took:.1f} s of 2 s drain')
    daemon = Daemon(directory, broker.address)
    daemon.wait_log('journal: 20000 events of an earlier run are to be delivered')
    daemon.feed(21000, 1000)
    daemon.wait_durable(1000)
    broker.tell('up')
    wait_until(lambda: daemon.status()['journal']['backlog_events'] == 0, 'the backlog is delivered')
    test.equal('ends well', daemon.end(), 0)
    for topic in ('raw', 'enriched'):
        found = identities(broker, topic)
        test.check(f'all of it is in {topic}', set(found) == set(range(22000)), len(set(found)))
        print(f'# {topic}: {len(found) - len(set(found))} came twice')
    return 22000


class Load(threading.Thread):
    """Writes events until the daemon is gone."""

    def __init__(self, daemon, first):
        super().__init__(daemon=True)
        self.daemon_process, self.next = daemon, first
        self.start()

    def run(self):
        try:
            while True:
                self.daemon_process.feed(self.next, 200)
                self.next += 200
                time.sleep(0.004)  # the load, about 50,000 per second
        except (BrokenPipeError, ValueError):
            pass


def kills(test, broker, directory, first, count, durability):
    """Events are taken in order: what the journal has is a prefix of each run's input."""
    chance = random.Random(SEED)
    promised, replayed = [], 0
    for run in range(count):
        daemon = Daemon(directory, broker.address, name=durability, durability=durability)
        daemon.wait_log('ready$')
        load = Load(daemon, first)
        if run % 3 == 2:
            broker.tell('down')
        time.sleep(0.05 + chance.random() * 0.5)  # the moment
        durable = daemon.status()['streams'][0]['durable']
        daemon.end(signal.SIGKILL)
        load.join()
        promised.append((first, durable))
        first = load.next + 200
        if run % 3 == 2:
            broker.tell('up')
        replayed += 'of an earlier run' in daemon.log()
    daemon = Daemon(directory, broker.address, name=durability, durability=durability)
    daemon.wait_log('ready$')
    if durability == 'journal':
        wait_until(lambda: daemon.status()['journal']['backlog_events'] == 0, 'the backlog is delivered')
        lost = daemon.status()['journal']['lost_events']
        test.equal('nothing in the journal is damaged', lost, 0)
        test.check('some starts had something to replay', replayed > 0, replayed)
    test.equal('ends well', daemon.end(), 0)
    found = identities(broker)
    if durability == 'journal':
        wanted = {i for start, n in promised for i in range(start, start + n)}
        missing = wanted.difference(found)
    else:  # partitions confirm for themselves: so many, but not the first ones
        ends = [start for start, _ in promised[1:]] + [first]
        wanted = range(sum(n for _, n in promised))
        missing = [start for (start, n), end in zip(promised, ends) if len(set(range(start, end)).intersection(found)) < n]
    test.check(f'{durability}: everything that was durable at one of {count} kills is in Kafka', not missing and wanted,
               f'{len(missing)} of {len(wanted)} are missing: {sorted(missing)[:5]}')
    print(f'# {len(wanted)} promised, {len(found) - len(set(found))} of {len(found)} came twice')
    return first


def full_disk(test, broker, directory, first):
    disk = Path(directory, 'small')
    disk.mkdir()
    if os.geteuid() != 0 or command('mount', '-t', 'tmpfs', '-o', 'size=20m', 'none', disk, check=False).returncode != 0:
        print('# no file system of our own: the full disk is skipped')
        return
    try:
        broker.tell('down')
        daemon = Daemon(directory, broker.address, name='small', journal=f'{disk}/journal')
        daemon.wait_log('ready$')
        load = Load(daemon, first)
        wait_until(lambda: daemon.status()['journal']['state'] == 'no_space', 'the disk is full')
        status = daemon.status()
        test.check('a full disk is said', 'No space left on device' in status['journal']['last_error'] and
                   any(a['name'] == 'journal_not_writable' for a in status['alarms']), status['journal'])
        stalled = status['streams'][0]
        test.check('nothing is shed, nothing is acknowledged that is not on disk',
                   stalled['shed'] == 0 and stalled['conserved'] and
                   stalled['durable'] == status['journal']['events_written'], stalled)
        wait_until(lambda: daemon.status()['workers'][0]['batches_free'] == 0, 'the input is held up')
        command('mount', '-o', 'remount,size=200m', disk)
        wait_until(lambda: daemon.status()['journal']['state'] == 'ok', 'it goes on when there is space')
        before = daemon.status()['streams'][0]['durable']
        wait_until(lambda: daemon.status()['streams'][0]['durable'] > before, 'more is durable')
        broker.tell('up')
        daemon.process.send_signal(signal.SIGTERM)
        test.equal('ends well', daemon.process.wait(DEADLINE_S), 0)
        load.join(DEADLINE_S)
        durable = int(re.search(r'conserved: yes received=(\d+) durable=\1 ', daemon.log())[1])
        daemon = Daemon(directory, broker.address, name='small', journal=f'{disk}/journal')
        daemon.wait_log('ready$')
        wait_until(lambda: daemon.status()['journal']['backlog_events'] == 0, 'the backlog is delivered')
        daemon.end()
        missing = set(range(first, first + durable)).difference(identities(broker))
        test.check('everything that was durable is in Kafka', not missing, f'{len(missing)} of {durable}')
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        command('umount', disk)


def main():
    test = Tap()
    broker = Broker(sys.argv[1], TOPICS)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory(prefix='pst-journal-') as directory:
        try:
            first = outage_and_shutdown(test, broker, directory)
            first = kills(test, broker, directory, first, count, 'journal')
            first = kills(test, broker, directory, first, 3, 'kafka')
            full_disk(test, broker, directory, first)
        except (Failed, subprocess.TimeoutExpired) as error:
            test.check('goes to its end', False, error)
        finally:
            broker.close()
        if test.failed:
            for log in sorted(Path(directory).glob('*.log')):
                print(f'# {log.name}\n' + '\n'.join('#   ' + x for x in log.read_text(errors='replace').splitlines()[-15:]))
    print(f'1..{test.number}')
    return test.failed != 0


if __name__ == '__main__':
    sys.exit(main())
