#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Acknowledged means durable, under faults: senders note what they were told is durable, faults strike in the meantime, and
afterwards each of those events must be in the enriched or the dead letter topic, exactly once, and as it came in the raw one.

    chaos.py MOCK_BROKER KAFKA_ADMIN RELAY WALL_CLOCK [--minutes N] [--seed N] [--worlds kafka/mock,journal/real,...]

A world is a daemon in one durability mode before one broker; the time is shared out among the worlds. Each world goes in
rounds: new events, one to three senders (sometimes two with the same events), a network between them and the daemon that is
bad in the round's own way (relay.c), and one fault drawn from the world's list. A round ends when its senders know of every
event what became of it. The same seed draws the same rounds; when exactly a fault strikes is the machine's affair.

A line per round; the last line is "acknowledged=N missing=N repeated=N faults=N". Exit status 1 if anything is missing or
repeated, if a sender did not come to its end, or if a ledger does not balance.
"""
import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter

import appliance
import kafka
from appliance import NEAR_IP, PENSTOCK, Failed, command, example, wait_until
from broker_outage import Broker as MockBroker

RAW, ENRICHED, DEAD = 'raw_events_topic', 'enriched_events_topic', 'dead_letter_topic_enrichment'
PRODUCTS = 1000
PORT = 9000
ROUND_S = 240  # a round that takes longer has failed
MOCK_EVENTS = 80000  # in one world: the mock cluster keeps 5 MB of each partition
JOURNAL_MB, SEGMENT_MB = 96, 8

# loss, duplicate, delay, corrupt, delay_ms
WEATHER = {
    'fair': (0, 0, 0, 0, 0),
    'loss 5 %': (0.05, 0, 0, 0, 0),
    'loss 30 %': (0.30, 0, 0, 0, 0),
    'reordering': (0, 0, 0.3, 0, 20),
    'duplication': (0, 0.2, 0.1, 0, 10),
    'corruption': (0, 0, 0, 0.05, 0),
    'all of it': (0.05, 0.05, 0.1, 0.02, 20),
}


class Relay:
    def __init__(self, program, network, seed):
        self.process = subprocess.Popen(network.inside(program, '127.0.0.1', NEAR_IP, PORT, seed),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def tell(self, words):
        self.process.stdin.write(words.encode() + b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def weather(self, name):
        if self.tell('set ' + ' '.join(map(str, WEATHER[name]))) != 'ok':
            raise Failed(f'the relay does not do {name}')

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Mock:
    """librdkafka's mock cluster in a process of its own. It does not know idempotent producers: a request that it has
    carried out and not answered would be carried out again. So it is never cut off, as real brokers are, but stopped."""

    def __init__(self, world):
        self.broker = MockBroker(world.options.mock_broker)
        world.closing.append(self.close)
        self.address = self.broker.address

    def away(self):
        self.broker.process.send_signal(signal.SIGSTOP)

    def back(self):
        self.broker.process.send_signal(signal.SIGCONT)

    def close(self):
        self.back()
        self.broker.close()

    def tell(self, word):
        self.broker.tell(word)


class Real:
    """A Kafka broker."""

    def __init__(self, world):
        self.broker = kafka.Broker(world.directory, world.options.kafka_admin).__enter__()
        world.closing.append(self.broker.kill)
        self.address = self.broker.plain
        for topic in (RAW, ENRICHED, DEAD):
            self.broker.create(topic, partitions=4)

    def away(self):
        self.broker.kill()

    def back(self):
        self.broker.start()


class World:
    def __init__(self, test, options, mode, kind, number):
        self.test, self.options, self.mode, self.kind = test, options, mode, kind
        self.directory = test.directory / f'world{number}'
        self.directory.mkdir()
        self.hugepages, self.closing = test.hugepages, []
        self.random = random.Random(f'{options.seed}/{mode}/{kind}')
        self.told = []  # (raw line, outcome) of every event that a sender was told about
        self.rounds = self.faults = self.kills = 0
        self.journal, self.clock = self.directory / 'journal', self.directory / 'clock'
        self.daemon, self.keys = None, {}

    def open(self):
        """Whatever happens in here, close() is to follow."""
        self.clock.write_bytes(bytes(8))  # nanoseconds that the daemon's is ahead
        self.broker = (Mock if self.kind == 'mock' else Real)(self)
        self.relay = Relay(self.options.relay, self.test.net, self.random.randrange(1 << 30))
        self.closing.append(self.relay.close)
        if self.mode == 'journal':
            self.mount_journal()
        self.daemon = self.make_daemon()
        self.start()

    def mount_journal(self):
        """A small file system of its own, which can be full."""
        self.journal.mkdir()
        command('mount', '-t', 'tmpfs', '-o', f'size={JOURNAL_MB}m', 'chaos', self.journal)
        self.closing.append(lambda: command('umount', '-l', self.journal))

    def make_daemon(self):
        changes = [(r'bootstrap: embedded', f'bootstrap: {self.broker.address}'),
                   (r'control:\n', 'control:\n  drain: 20s\n'),
                   (r'linger.ms: 20\}', 'linger.ms: 5, max.in.flight: 1}' if self.kind == 'mock' else 'linger.ms: 5}'),
                   (r'(?s)  files:\n.*?\n\n', '\n'),
                   (r'node: .*', 'node: chaos\n\ndurability: ' + self.mode +
                    ('' if self.mode == 'kafka' else f'\njournal: {{directory: {self.journal}/log, '
                     f'segment_mb: {SEGMENT_MB}, max_gb: 1}}') +
                    '\n\ntransport: {authentication: required}')]
        text = example('catalog', self.directory, *[c for c in changes if 'directory: lake' not in c[0]])
        return appliance.Daemon(self, text)

    def start_daemon(self, until):
        """Under a wall clock that faults can step (wall_clock.c)."""
        self.daemon.start(until=until, env=dict(os.environ, LD_PRELOAD=self.options.wall_clock, WALL_CLOCK=str(self.clock)))

    def step_clock(self, seconds):
        with open(self.clock, 'r+b') as clock:
            clock.write(struct.pack('q', seconds * 10**9))

    def start(self):
        self.start_daemon('ready$|waiting for dimension')
        if not self.keys:
            rows = self.directory / 'products.jsonl'
            command(PENSTOCK, 'gen', 'dimension', '--name', 'products', '--rows', PRODUCTS, '--out', rows)
            dim = self.directory / 'products.dim'
            command(PENSTOCK, 'dim', 'build', '--from', rows, '--key', 'product_id', '-o', dim)
            self.daemon.push(dim)
            for source in (1, 2, 3):
                self.keys[source] = self.directory / f'key{source}'
                self.keys[source].touch(mode=0o600)
                self.keys[source].write_text(f'{source}:{os.urandom(32).hex()}\n')
                self.daemon.cli('source', 'add', source, '--key-file', self.keys[source])
        self.daemon.wait_log('ready$')

    # ---- faults: each strikes while senders are at work, and is over when it returns ----

    def pause(self, shortest, longest):
        """How long a fault lasts or waits before it strikes: part of what is drawn, nothing waits for it."""
        time.sleep(self.random.uniform(shortest, longest))

    def fault_kill(self):
        for _ in range(self.random.randint(*self.options.kills)):
            self.pause(0.05, 1)
            self.daemon.process.kill()
            self.daemon.process.wait()
            self.start()
            self.faults += 1
            self.kills += 1
        self.faults -= 1

    def fault_drain(self):
        self.pause(0.05, 1)
        status = self.daemon.end()
        self.test.check(f'{self.mode}/{self.kind}: a daemon that is told to stop, stops', status in (0, 1), status)
        self.start()

    def fault_broker_away(self):
        self.pause(0.05, 0.5)
        self.broker.away()
        self.pause(1, self.options.outage_s)
        self.broker.back()

    def fault_long_outage(self):
        self.broker.away()
        self.pause(60, 60)
        self.broker.back()

    def fault_killed_during_an_outage(self):
        self.kills += 1
        self.broker.away()
        self.pause(0.2, 1)
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.pause(0.1, 1)
        if self.mode == 'kafka' or self.random.random() < 0.5:
            self.broker.back()
            self.start()
        else:
            self.start_daemon('.')
            self.broker.back()
            self.daemon.wait_log('ready$')

    def fault_broker_errors(self):
        for _ in range(3):
            self.broker.tell('errors')
            self.pause(0.05, 0.5)

    def fault_leaders_change(self):
        for _ in range(5):
            self.broker.tell('leaders')
            self.pause(0.05, 0.5)

    def fault_disk_full(self):
        self.broker.away()  # or the journal is emptied as fast as it is filled
        ballast = self.journal / 'ballast'
        with open(ballast, 'wb', buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        self.pause(0.5, 2)
        ballast.unlink()
        self.broker.back()

    def fault_clock_steps(self):
        """Events may then be too old or from the future: they are dead letters, each once."""
        for seconds in self.random.sample([-90, 90, -86400, 86400], 2):
            self.step_clock(seconds)
            self.pause(0.3, 1)
        if self.random.random() < 0.5:
            self.daemon.process.kill()
            self.daemon.process.wait()
            self.start()
        self.step_clock(0)

    def fault_none(self):
        self.pause(0.1, 0.3)

    def fault_list(self):
        faults = [self.fault_none, self.fault_kill, self.fault_kill, self.fault_drain, self.fault_broker_away,
                  self.fault_killed_during_an_outage]
        if self.options.clock_steps:
            faults.append(self.fault_clock_steps)
        if self.kind == 'mock':
            faults += [self.fault_broker_errors, self.fault_leaders_change]
        if self.mode == 'journal':
            faults.append(self.fault_disk_full)
        return faults

    # ---- rounds ----

    def events(self, count, name=''):
        path = self.directory / f'events{self.rounds}{name}'
        command(PENSTOCK, 'gen', 'events', '--count', count, '--seed', self.random.randrange(1 << 30), '--products', PRODUCTS,
                '--duplicates', '3%', '--malformed', '1%', '--out', path)
        # A blank line is no event for a sender, and a long one needs a datagram that the path does not take.
        lines = [line.strip(b' \t\r') for line in path.read_bytes().split(b'\n')]
        path.write_bytes(b''.join(line + b'\n' for line in lines if line and len(line) < 1200))
        return path

    def send(self, source, path, name):
        outcomes = self.directory / f'outcomes{self.rounds}.{name}'
        process = subprocess.Popen(
            self.test.net.inside(PENSTOCK, 'send', '--ack', '--to', f'127.0.0.1:{self.relay.port}', '--stream', 'catalog',
                                 '--file', path, '--source-id', source, '--key-file', self.keys[source], '--rate', 'max',
                                 '--acked', outcomes, '--json'),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return process, path, outcomes

    def collect(self, process, path, outcomes):
        """What the sender was told, event by event."""
        try:
            out, err = process.communicate(timeout=ROUND_S)
        except subprocess.TimeoutExpired as expired:
            process.kill()
            raise Failed(f'a sender did not end within {ROUND_S} s: {json.dumps(self.daemon.status())[:2000]}') from expired
        if process.returncode != 0:
            raise Failed(f'penstock send: status {process.returncode}: {err.decode()[-600:]}')
        lines = path.read_bytes().split(b'\n')[:-1]
        told = {}
        for line in outcomes.read_text().splitlines():
            number, outcome = line.split()[:2]
            told[int(number)] = outcome
        if sorted(told) != list(range(1, len(lines) + 1)):
            raise Failed(f'a sender was told about {len(told)} of {len(lines)} events: {out.decode()}')
        self.told += [(lines[number - 1], outcome) for number, outcome in told.items()]

    def round(self, fault=None):
        begin = time.monotonic()
        weather, fault = self.random.choice(list(WEATHER)), fault or self.random.choice(self.fault_list())
        self.relay.weather(weather)
        count = self.random.randrange(500, self.options.round_events)
        senders = [self.send(1, self.events(count), 'a')]
        if self.random.random() < 0.5:
            senders.append(self.send(2, senders[0][1], 'same'))
        if self.random.random() < 0.3:
            senders.append(self.send(3, self.events(count, 'other'), 'other'))
        fault()
        self.relay.weather(weather if self.random.random() < 0.5 else 'fair')
        for sender in senders:
            self.collect(*sender)
        self.rounds += 1
        self.faults += (fault != self.fault_none) + (weather != 'fair')
        print(f'# {self.mode}/{self.kind} {self.rounds}: {len(senders)} sender{"s" if len(senders) > 1 else ""}, {count} events, '
              f'{weather}, {fault.__name__[6:].replace("_", " ")}: {time.monotonic() - begin:.1f} s', flush=True)

    def run(self, seconds):
        end = time.monotonic() + seconds
        if self.options.long_outage and self.kind == 'real':
            self.round(self.fault_long_outage)
        while self.rounds == 0 or (time.monotonic() < end and
                                   (self.kind != 'mock' or len(self.told) < MOCK_EVENTS)):
            self.round()
        self.relay.weather('fair')
        self.wait_delivered()
        ledger = self.daemon.stream()
        self.test.check(f'{self.mode}/{self.kind}: the ledger balances', ledger['conserved'], ledger)
        return self.judge()

    def wait_delivered(self):
        def all_out():
            status = self.daemon.status()
            return status['streams'][0]['in_flight'] == 0 and status.get('journal', {}).get('backlog_events', 0) == 0
        wait_until(all_out, 'everything is delivered')

    # ---- the verdict ----

    @staticmethod
    def places_of(places, line):
        try:
            return places.get(json.loads(line)['eventId'], [])
        except (ValueError, KeyError, TypeError):
            return []

    def judge(self):
        """(acknowledged, missing, repeated)"""
        records = kafka.consume(self.broker.address, ENRICHED)
        places = {}
        for r in records:
            places.setdefault(json.loads(r.value)['eventId'], []).append(f'{r.partition}/{r.offset}')
        enriched = Counter({identity: len(found) for identity, found in places.items()})
        dead = Counter(r.value for r in kafka.consume(self.broker.address, DEAD))
        raw = Counter(r.value for r in kafka.consume(self.broker.address, RAW))
        missing, repeated, seen = [], [], set()
        for line, outcome in self.told:
            if line in seen:
                continue
            seen.add(line)
            found = dead[line]
            if found == 0 or outcome in ('durable', 'duplicate'):
                try:
                    found += enriched[json.loads(line)['eventId']]
                except (ValueError, KeyError, TypeError):
                    pass
            # Whatever is enriched is there as it came, too.
            copies = raw[line] if found > dead[line] else found
            if found == 0 or copies == 0:
                missing.append((line[:120], outcome, found, copies))
            elif found > 1 or copies > 1:
                repeated.append((line[:120], outcome, dead[line], found, copies, self.places_of(places, line)))
        for what, events in (('missing', missing), ('repeated', repeated)):
            for event in events[:5]:
                print(f'# {self.mode}/{self.kind} {what}: {event}')
        return len(self.told), len(missing), len(repeated)

    def close(self):
        if self.daemon is not None:
            self.test.stop(self.daemon)
        while self.closing:
            self.closing.pop()()


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mock_broker')
    parser.add_argument('kafka_admin')
    parser.add_argument('relay')
    parser.add_argument('wall_clock')
    parser.add_argument('--minutes', type=float, default=os.environ.get('MINUTES') or 5)
    parser.add_argument('--seed', type=int, default=os.environ.get('SEED') or int(time.time()))
    parser.add_argument('--worlds', default='kafka/mock,journal/mock,kafka/real,journal/real')
    parser.add_argument('--round-events', type=int, default=6000)
    parser.add_argument('--outage-s', type=float, default=5, help='the longest outage of the broker')
    parser.add_argument('--long-outage', action='store_true', help='and, of a real one, one of 60 s in each durability mode')
    parser.add_argument('--clock-steps', action='store_true', help='step the wall clock by up to a day, too')
    parser.add_argument('--kills', type=int, nargs=2, default=(2, 6), help='of the daemon, in a round that kills it')
    return parser.parse_args()


def main(test):
    options = read_options()
    worlds = [world.split('/') for world in options.worlds.split(',')]
    if any(kind == 'real' for _, kind in worlds):
        kafka.need()
    print(f'# seed {options.seed}, {options.minutes:g} minutes', flush=True)
    test.net = test.network(queues=2)
    total, faults, kills = [0, 0, 0], 0, 0
    for number, (mode, kind) in enumerate(worlds):
        world = World(test, options, mode, kind, number)
        try:
            world.open()
            total = [a + b for a, b in zip(total, world.run(options.minutes * 60 / len(worlds)))]
            faults += world.faults
            kills += world.kills
        finally:
            world.close()
    print(f'# the daemon was killed {kills} times')
    test.equal('nothing acknowledged is missing', total[1], 0)
    test.equal('nothing is there twice', total[2], 0)
    test.check('something was acknowledged', total[0] > 0)
    test.last = (f'acknowledged={total[0]} missing={total[1]} repeated={total[2]} faults={faults}')


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'kcat', 'mount', 'umount'))
