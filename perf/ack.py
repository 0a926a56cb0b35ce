#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What acknowledgements cost from end to end: `penstock send --ack` against the real daemon over AF_XDP, beside plain datagrams
at the same rate, for both kinds of durability; and how long a start takes with a journal that a crash has left full.

Usage: ack.py [--real] [--seconds N] [--rate N] [--backlog-mb N] [--output FILE]

As root, in network namespaces of its own; the broker, librdkafka's mock or with --real Apache Kafka, is another process. No dimension
is loaded. Nothing here passes or fails by a timing; the exit status says whether every event that was sent with --ack was completed and
the ledgers balance. TMPDIR (/var/tmp) is where journal and broker write. Takes about two minutes.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests' / 'e2e'), str(ROOT / 'tests' / 'broker')]
import appliance  # pylint: disable=wrong-import-position
import kafka  # pylint: disable=wrong-import-position
from appliance import BUILD, NEAR_IP, PENSTOCK, Failed, command, example, wait_until  # pylint: disable=wrong-import-position

COUNT = 1500000  # events of one run, at most
CHUNK = 1 << 17
TICK_S = 0.002
QUIET_S = 1.0  # so long nothing arrives: all that will come has come
FILES_SINK = r'  files:\n    directory: .*\n    rotate_mb: .*\n    compression: .*\n'
SOURCES = r'sources:\n(.*\n)*?streams:'


class Feed(threading.Thread):
    """Writes the events to a pipe, at a rate or as fast as they are taken, until the time or the file is over, and closes it. The
    rate is kept here and not by `penstock send --rate`, which reads ahead: an acknowledgement's latency would begin there."""

    def __init__(self, path, pipe, seconds, rate='max'):
        super().__init__(daemon=True)
        self.path, self.pipe, self.seconds, self.rate = path, pipe, seconds, rate
        self.start()

    def parts(self, source, begin):
        """What is due by now."""
        if self.rate == 'max':
            while chunk := source.read(CHUNK):
                yield chunk + source.readline()
            return
        done, total = 0, int(self.rate * self.seconds)
        while done < total:
            due = min(total, int(self.rate * (time.monotonic() - begin)))
            yield b''.join(source.readline() for _ in range(due - done))
            done = due
            time.sleep(TICK_S)  # the rate

    def run(self):
        begin = time.monotonic()
        try:
            with open(self.path, 'rb') as source:
                for part in self.parts(source, begin):
                    self.pipe.write(part)
                    self.pipe.flush()
                    if self.rate == 'max' and time.monotonic() > begin + self.seconds:
                        break
            self.pipe.close()
        except (BrokenPipeError, ValueError):
            pass  # the program at the other end is gone, and its exit status is looked at


class Bench:
    def __init__(self, test, options):
        self.test, self.options, self.runs = test, options, 0
        self.events = test.directory / 'events'
        command(PENSTOCK, 'gen', 'events', '--count', COUNT, '--seed', 5, '--out', self.events)
        if options.real:
            kafka.need()
            self.broker = kafka.Broker(test.directory, BUILD / 'tests' / 'broker' / 'kafka_admin').__enter__()
            test.closing.append(self.broker.kill)
            for topic in appliance.CATALOG_TOPICS:
                self.broker.create(topic, partitions=16)
            self.address = self.broker.plain
        else:
            self.broker = appliance.Broker(BUILD / 'tests' / 'e2e' / 'mock_broker')
            test.closing.append(self.broker.close)
            self.address = self.broker.address

    def directory(self):
        """A new one: no run knows another's identities, nor its journal."""
        self.runs += 1
        path = self.test.directory / f'run-{self.runs}'
        path.mkdir()
        return path

    def daemon(self, directory, durability, *changes, name='penstockd'):
        journal = f'journal: {{directory: {directory}/journal}}\n' if durability == 'journal' else ''
        text = example('catalog', directory, (FILES_SINK, ''), (r'linger\.ms: 20', 'linger.ms: 5'),
                       (r'bootstrap: embedded', f'bootstrap: {self.address}'), (r'budget_mb: 16', 'budget_mb: 64'),
                       (r'products: {required: true}', 'products: {required: false}'),
                       (r'node: ingest-1', f'durability: {durability}\n{journal}node: ingest-1'), *changes, memory_mb=256)
        return self.test.daemon(text, name=f'{name}-{self.runs}', memory_mb=256)

    def send(self, network, rate, *words, pace='max'):
        sender = subprocess.Popen(network.inside(PENSTOCK, 'send', '--to', f'{NEAR_IP}:9000', '--file', '-', '--rate', pace,
                                                 '--json', *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.test.closing.append(sender.kill)
        feed = Feed(self.events, sender.stdin, self.options.seconds, rate)
        out = sender.stdout.read()
        status = sender.wait(appliance.DEADLINE_S)
        feed.join()
        if status != 0:
            raise Failed(f'penstock send {" ".join(map(str, words))}: status {status}: {out[-400:]}')
        return json.loads(out)

    def acked(self, network, durability, rate):
        daemon = self.daemon(self.directory(), durability).start()
        found = self.send(network, rate, '--ack', '--stream', 'catalog', '--deadline', 60)
        stream = daemon.settle(found['events'])
        self.test.check(f'{durability}, {rate}: all are durable, once', found['durable'] + found['duplicate'] == found['events'] and
                        found['rejected'] == found['pending'] == 0 and stream['conserved'], (found, stream))
        self.test.check(f'{durability}, {rate}: ends in order', daemon.end() == 0)
        return found

    def plain(self, network, durability, rate):
        """What becomes durable of what is sent and forgotten, and how fast."""
        daemon = self.daemon(self.directory(), durability).start()
        begin = time.monotonic()
        # More than is taken, for as long; without a limit the sender would have the CPU that the sinks need.
        found = self.send(network, rate, pace=int(COUNT / self.options.seconds) if rate == 'max' else 'max')
        last, since = None, time.monotonic()
        while last is None or last['in_flight'] > 0 or time.monotonic() < since + QUIET_S:
            stream = daemon.stream()
            if stream != last:
                last, since = stream, time.monotonic()
            elif time.monotonic() > since + 30:
                raise Failed(f'nothing moves: {stream}')
            time.sleep(0.02)  # how exact the end is
        self.test.check(f'{durability}, {rate}, plain: the ledger balances', last['conserved'] and
                        last['received'] <= found['events'], (found, last))
        self.test.check(f'{durability}, {rate}, plain: ends in order', daemon.end() == 0)
        return {'sent': found['events'], 'received': last['received'], 'durable': last['durable'],
                'seconds': since - begin, 'events_per_s': last['durable'] / (since - begin)}

    def latencies(self):
        network = self.test.network(queues=2)
        print('# durability  rate    events/s  of plain  sent again  rtt p50 / p99 us  acknowledged p50 / p99 / p99.9 us  plain: durable of sent')
        rows = []
        for durability in ('kafka', 'journal'):
            for rate in (self.options.rate, 'max'):
                load = os.getloadavg()[0]
                acked, plain = self.acked(network, durability, rate), self.plain(network, durability, rate)
                row = {'durability': durability, 'rate': rate, 'load': load, 'acked': acked, 'plain': plain,
                       'ratio': acked['events_per_s'] / plain['events_per_s']}
                rtt, ack = acked['rtt_us'], acked['ack_us']
                print(f'# {durability:10}  {rate:>5}  {acked["events_per_s"]:>8.0f}  {row["ratio"]:>8.2f}  {acked["retransmits"]:>10}  '
                      f'{rtt["p50"]} / {rtt["p99"]}  {ack["p50"]} / {ack["p99"]} / {ack["p999"]}  '
                      f'{plain["durable"]} of {plain["sent"]}, {plain["events_per_s"]:.0f}/s', flush=True)
                rows.append(row)
        return rows

    def recovery(self):
        """kill -9 with a backlog, and the next start with the broker there again."""
        directory, wanted = self.directory(), self.options.backlog_mb * 1000000
        change = (SOURCES, 'sources: [{name: input, type: file, path: "-", stream: catalog}]\nstreams:')
        daemon = self.daemon(directory, 'journal', change).start(stdin=subprocess.PIPE)
        self.broker.tell('down')
        feed = Feed(self.events, daemon.process.stdin, appliance.DEADLINE_S)

        def full():
            status, stream = daemon.status(), daemon.stream()
            return status['journal'] if status['journal']['bytes_written'] >= wanted or stream['durable'] >= COUNT else None
        journal = wait_until(full, f'a backlog of {self.options.backlog_mb} MB')
        daemon.end(9)
        feed.join()
        self.broker.tell('up')
        load = os.getloadavg()[0]
        daemon = self.daemon(directory, 'journal', change, name='again')
        begin = time.monotonic()
        daemon.start(until='ready$', stdin=subprocess.DEVNULL)
        ready = time.monotonic() - begin
        wait_until(lambda: daemon.status()['journal']['backlog_events'] == 0, 'the backlog is delivered')
        delivered = time.monotonic() - begin
        lost = daemon.status()['journal']['lost_events']
        self.test.check('recovery: the journal was whole', lost == 0, lost)
        self.test.check('recovery: ends in order', daemon.wait() == 0 if daemon.process.poll() is not None else daemon.end() == 0)
        gb = journal['bytes_written'] / 1e9
        print(f'# recovery: {gb:.2f} GB, {journal["backlog_events"]} events: ready after {ready:.2f} s, delivered after {delivered:.1f} s '
              f'({ready / gb:.2f} and {delivered / gb:.1f} s/GB)', flush=True)
        return {'backlog_bytes': journal['bytes_written'], 'backlog_events': journal['backlog_events'], 'ready_s': ready,
                'delivered_s': delivered, 'ready_s_per_gb': ready / gb, 'delivered_s_per_gb': delivered / gb, 'load': load}


def arguments():
    parser = argparse.ArgumentParser(description='acknowledgements from end to end')
    parser.add_argument('--real', action='store_true', help='Apache Kafka; without the recovery')
    parser.add_argument('--seconds', type=float, default=10)
    parser.add_argument('--rate', type=int, default=5000)
    parser.add_argument('--backlog-mb', type=int, default=700)
    parser.add_argument('--output', type=Path, default=BUILD / 'ack.json')
    options = parser.parse_args()
    if not 0 < options.seconds <= 60 or not 0 < options.rate * options.seconds <= COUNT or not 0 < options.backlog_mb <= 1000:
        parser.error(f'at most 60 seconds, {COUNT} events and 1000 MB')
    return options


def main(test):
    options = arguments()
    bench = Bench(test, options)
    out = {'cpus': os.cpu_count(), 'broker': 'kafka' if options.real else 'mock', 'seconds': options.seconds,
           'latency': bench.latencies()}
    if not options.real:
        out['recovery'] = bench.recovery()
    options.output.write_text(json.dumps(out, indent=1) + '\n')
    print(f'# written to {options.output}')


if __name__ == '__main__':
    arguments()
    os.environ.setdefault('TMPDIR', '/var/tmp')
    tempfile.tempdir = None
    appliance.run(main)
