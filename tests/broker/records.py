#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the daemon writes to a real Kafka broker is what docs/records.md says: values, keys, partitions and headers, with
either kind of record and each compression. Needs no root. Prints TAP.

Usage: records.py KAFKA_ADMIN
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kafka
from appliance import DEADLINE_S, PENSTOCK, PENSTOCKD, Failed, Tap, command, event_bytes, same

COUNT, PARTITIONS = 6000, {'raw': 4, 'enriched': 5, 'dead': 1}
CODECS = {'lz4': 3, 'zstd': 4}
CONFIG = """
node: real-1
control: {{state: {directory}/state, socket: {directory}/socket}}
dataplane: {{lcores: ["1@{cpu}"], hugepages: off, memory_mb: 64}}
sources: [{{name: input, type: file, path: "{events}", stream: shop}}]
sinks: {{kafka: {{bootstrap: "{brokers}", record: {record}, properties: {{compression.type: {compression}}}}}}}
dimensions: {{users: {{required: false}}}}
streams:
  - name: shop
    udp_port: 9002
    identity: event_id
    partition_key: session_id
    timestamp: {{field: timestamp, format: rfc3339, max_past: 7d, max_future: 5m}}
    fields:
      event_id:   {{type: string, required: true, min_length: 1, max_length: 64}}
      event_type: {{type: string, required: true, pattern: "^[a-z][a-z_]{{0,31}}$"}}
      user_id:    {{type: string, max_length: 64}}
      session_id: {{type: string, required: true, max_length: 64}}
      location:   {{type: string, max_length: 64}}
      device:     {{type: string, max_length: 64}}
      timestamp:  {{type: string, required: true}}
    dedup: {{window: 30m, mode: drop, budget_mb: 16}}
    enrich: [{{dimension: users, key: user_id, as: user, on_miss: emit}}]
    output: {{raw: {name}-raw, enriched: {name}-enriched, dead_letter: {name}-dead}}
"""


def run(test, directory, broker, record, compression):
    """One run of the daemon over one file; returns the records of the three topics."""
    name = f'{record}-{compression}'
    place = directory / name
    place.mkdir()
    for output, partitions in PARTITIONS.items():
        broker.create(f'{name}-{output}', partitions)
    config = place / 'penstock.yaml'
    config.write_text(CONFIG.format(directory=place, cpu=max(os.sched_getaffinity(0)), name=name, record=record,
                                    events=directory / 'events', brokers=broker.plain, compression=compression))
    done = subprocess.run([PENSTOCKD, '--config', config, '--once'], stderr=subprocess.PIPE, timeout=DEADLINE_S,
                          check=False)
    if done.returncode != 0:
        raise Failed(f'{name}: status {done.returncode}: {done.stderr.decode()[-800:]}')
    for output in ('raw', 'enriched'):
        # The attributes of the partition's first record batch.
        segment = next((broker.directory / 'data').glob(f'{name}-{output}-0/*.log')).read_bytes()
        test.equal(f'{name}: the {output} topic is compressed with it', int.from_bytes(segment[21:23], 'big') & 7,
                   CODECS[compression])
    return {output: kafka.consume(broker.plain, f'{name}-{output}') for output in PARTITIONS}


def check_enriched(test, name, values, raw):
    """Enriched values begin with the raw ones and end with ours."""
    wrong, heads = [], {line[:-1].rstrip() for line in raw}
    for value in values:
        own = json.loads(value)['enrichments']
        head = value[:value.rindex(b',"enrichments":')]
        if head not in heads or own['_missing'] != ['users'] or 'processing_timestamp' not in own:
            wrong.append(value)
    test.check(f'{name}: enriched records are the raw ones and what was joined',
               len(values) == len(raw) and not wrong, (len(values), len(raw), wrong[:1]))


def check_partitions(test, name, output, records):
    """records: (the record's partition, one of its events)."""
    wrong = [(partition, event) for partition, event in records if partition != kafka.partition_of(
        json.loads(event)['session_id'].encode(), PARTITIONS[output])]
    used = {partition for partition, _ in records}
    test.check(f'{name}: {output} events are in the partition that the Java client would choose',
               not wrong and len(used) == PARTITIONS[output], (wrong[:1], used))


def check_dead(test, name, dead, says):
    test.equal(f'{name}: dead letters', len(dead), says['dead_lettered'])
    by_reason = {}
    for record in dead:
        reason = record.headers.get('penstock.error.reason')
        by_reason[reason] = by_reason.get(reason, 0) + 1
    test.equal(f'{name}: each with its reason', by_reason, says['by_reason'])
    wrong = [r.headers for r in dead if r.headers.get('penstock.error.stream') != 'shop' or
             r.headers.get('penstock.error.replays') != '0' or r.headers.get('penstock.error.stage') not in
             ('parse', 'validate') or r.headers.get('__connect.errors.topic') != f'{name}-raw']
    test.check(f'{name}: and its other headers', not wrong, wrong[:1])


def check_events(test, name, found, good):
    """record: event."""
    raw, enriched = found['raw'], found['enriched']
    same(test, f'{name}: raw records are the events as they came', [r.value for r in raw], good)
    check_enriched(test, name, [r.value for r in enriched], set(good))
    for output in ('raw', 'enriched'):
        wrong = [r for r in found[output] if r.key != json.loads(r.value)['session_id'].encode()]
        test.check(f'{name}: {output} keys', not wrong, wrong[:1] and wrong[0].key)
        check_partitions(test, name, output, [(r.partition, r.value) for r in found[output]])
    wrong = [r.headers for r in enriched if r.headers.get('ce_id') != json.loads(r.value)['event_id'] or
             r.headers.get('ce_specversion') != '1.0' or r.headers.get('ce_type') != 'penstock.shop' or
             r.headers.get('ce_source') != '/penstock/real-1/shop' or 'ce_time' not in r.headers]
    test.check(f'{name}: CloudEvents', not wrong, wrong[:1])
    test.check(f'{name}: raw records have no headers', not any(r.headers for r in raw), raw and raw[0].headers)


def check_batches(test, name, found, good):
    """record: batch."""
    lines = {output: [(r.partition, line) for r in found[output] for line in r.value.split(b'\n')]
             for output in ('raw', 'enriched')}
    same(test, f'{name}: the lines of raw records are the events as they came', [x[1] for x in lines['raw']], good)
    check_enriched(test, name, [x[1] for x in lines['enriched']], set(good))
    for output in ('raw', 'enriched'):
        check_partitions(test, name, output, lines[output])
        wrong = [r.headers for r in found[output] if r.headers.get('content-type') != 'application/x-ndjson' or
                 int(r.headers.get('penstock.count', 0)) != r.value.count(b'\n') + 1]
        test.check(f'{name}: {output} records say what they hold', not wrong and
                   len(found[output]) < len(good) / 10, (wrong[:1], len(found[output])))


def main(directory):
    test = Tap()
    events, expect = directory / 'events', directory / 'expect'
    command(PENSTOCK, 'gen', 'events', '--stream', 'shop', '--count', COUNT, '--seed', 7, '--duplicates', '4%',
            '--malformed', '3%', '--out', events, '--expect', expect)
    says = json.loads(expect.read_text())
    lines = [event_bytes(line) for line in events.read_bytes().split(b'\n')[:-1]]
    begin = time.monotonic()
    with kafka.Broker(directory, sys.argv[1]) as broker:
        print(f'# the broker took {time.monotonic() - begin:.1f} s to start')
        for record in ('event', 'batch'):
            for compression in ('lz4', 'zstd'):
                name = f'{record}-{compression}'
                found = run(test, directory, broker, record, compression)
                dead = {r.value for r in found['dead']}
                good = list({json.loads(line)['event_id']: line for line in reversed(lines)
                             if line not in dead}.values())
                check_dead(test, name, found['dead'], says)
                (check_events if record == 'event' else check_batches)(test, name, found, good)
    print(f'1..{test.number}')
    return test.failed != 0


if __name__ == '__main__':
    kafka.need()
    with tempfile.TemporaryDirectory(prefix='pst-broker-') as path:
        sys.exit(main(Path(path)))
