#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The other examples, end to end: detections.yaml (duplicates flagged, undeclared members dropped) and shop.yaml (the
session as key, undeclared members kept, the lake divided by event type)."""
import base64
import json
import re
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import appliance
from appliance import PENSTOCK, command, consume, event_bytes, example, rows_of, same, stored

COUNT, ROWS = 20000, 2000
DECLARED = ('geographical_location_oid', 'video_camera_oid', 'detection_oid', 'item_name', 'timestamp_detected')
EXAMPLES = {
    'detections': {
        'port': 9001, 'identity': 'detection_oid', 'key': 'video_camera_oid', 'dimension': 'locations',
        'dimension_key': 'location_oid', 'join': ('geographical_location_oid', 'location'), 'flag': True,
    },
    'shop': {
        'port': 9002, 'identity': 'event_id', 'key': 'session_id', 'dimension': 'users', 'dimension_key': 'user_id',
        'join': ('user_id', 'user'), 'flag': False,
    },
}


def expected(name, line, rows):
    """What must come of a valid event, as values; without what depends on time and order."""
    event = json.loads(line)
    what = EXAMPLES[name]
    if name == 'detections':
        event = {member: event[member] for member in event if member in DECLARED}
    field, join = what['join']
    enrichments = {}
    if event.get(field) is not None:
        row = rows.get(str(event[field]))
        if row is None:
            enrichments['_missing'] = [what['dimension']]
        else:
            enrichments[join] = json.loads(row)
    return dict(event, enrichments=enrichments)


def canonical(value):
    return json.dumps(value, sort_keys=True)


def check_records(test, name, lines, rows, enriched):
    """Enriched records against the events that they came from."""
    what = EXAMPLES[name]
    found, flagged, first = [], Counter(), Counter()
    for line in enriched:
        record = json.loads(line)
        if not re.fullmatch(r'\d{4}-\d\d-\d\dT[\d:.]{12}Z', record['enrichments'].pop('processing_timestamp', '')):
            test.check(f'{name}: a processing time', False, line)
        if record.pop('is_duplicate', None) is True:
            flagged[record[what['identity']]] += 1
        else:
            first[record[what['identity']]] += 1
        found.append(canonical(record))
    same(test, f'{name}: enriched values', found, [canonical(expected(name, line, rows)) for line in lines])
    test.check(f'{name}: each identity once without the flag', set(first.values()) == {1} and
               set(flagged) <= set(first), (first.most_common(1), flagged.most_common(1)))
    return sum(flagged.values())


def check_lake(test, name, directory):
    """Files lie where their events belong."""
    wrong = []
    for output in ('raw', 'enriched'):
        root = Path(directory, 'lake', name, output)
        for path in root.rglob('*.zst'):
            parts = path.relative_to(root).parts[:-1]
            for line in command('zstd', '-dcq', path).stdout.split(b'\n')[:-1]:
                event = json.loads(line)
                if name == 'shop':
                    when = datetime.fromisoformat(event['timestamp'].replace('Z', '+00:00')).astimezone(timezone.utc)
                    place = (when.strftime('%Y-%m-%d'), 'event_type=' + event['event_type'])
                else:
                    when = datetime.fromtimestamp(event['timestamp_detected'] / 1000, timezone.utc)
                    place = (when.strftime('%Y-%m-%d'),)
                if parts != place:
                    wrong.append((parts, line))
    test.check(f'{name}: files lie where their events belong', not wrong, wrong[:1])


def check_keys(test, name, records):
    field = EXAMPLES[name]['key']
    for output in ('raw', 'enriched'):
        wrong = [r for r in records[output] if (r[0] or b'').decode() != str(json.loads(r[2])[field])]
        test.check(f'{name}: {output} records in Kafka have {field} as key',
                   len(records[output]) > COUNT / 2 and not wrong, (len(records[output]), wrong[:1]))


def run_example(test, network, name):
    what = EXAMPLES[name]
    directory = test.directory / name
    directory.mkdir()
    events, expect, table = directory / 'events', directory / 'expect', directory / 'rows.jsonl'
    command(PENSTOCK, 'gen', 'dimension', '--name', what['dimension'], '--rows', ROWS, '--out', table)
    # Half as many rows as keys: some are missing.
    rows = rows_of(table)
    snapshot = test.build(table, what['dimension_key'], what['dimension'])

    daemon = test.daemon(example(name, directory), name=name).start()
    daemon.push(snapshot)
    daemon.wait_log('ready$')
    command(PENSTOCK, 'gen', 'events', '--stream', name, '--count', COUNT, '--seed', 21, '--duplicates', '4%',
            '--malformed', '3%', '--places', ROWS * 2, '--users', ROWS * 2, '--out', events, '--expect', expect)
    says = json.loads(expect.read_text())
    lines = [event_bytes(line) for line in events.read_bytes().split(b'\n')[:-1]]
    ledger = appliance.Feeder(daemon).send(network, lines, port=what['port'])

    test.equal(f'{name}: counts', [ledger[n] for n in ('received', 'durable', 'dead_lettered', 'shed', 'conserved')],
               [says['sent'], says['durable'], says['dead_lettered'], 0, True])
    test.equal(f'{name}: duplicates', (ledger['duplicate'], ledger['flagged']),
               (0, says['duplicate']) if what['flag'] else (says['duplicate'], 0))
    drops = dict(ledger['drops'])
    drops.pop('duplicate', None)
    test.equal(f'{name}: each reason', drops, says['by_reason'])
    hits, misses = ledger['enrich'][0]['hits'], ledger['enrich'][0]['misses']
    test.check(f'{name}: hits and misses', hits > 0 and misses > 0, (hits, misses))

    brokers = next(s['brokers'] for s in daemon.status()['sinks'] if s['type'] == 'kafka')
    records = {output: consume(brokers, f'{output}_{name}') for output in ('raw', 'enriched', 'dead_letter')}
    test.equal(f'{name}: ends in order', daemon.end(), 0)
    check_keys(test, name, records)

    dead = [json.loads(line) for line in stored(directory, name, 'dead_letter')]
    letters = [(x['reason'], x['value'].encode() if 'value' in x else base64.b64decode(x['value_base64']))
               for x in dead]
    same(test, f'{name}: dead letters in Kafka are those in files',
         [(r[1]['penstock.error.reason'], r[2]) for r in records['dead_letter']], letters)
    raw = stored(directory, name, 'raw')
    broken = {value for _, value in letters}
    good = [line for line in lines if line not in broken]
    if not what['flag']:
        good = list({json.loads(line)[what['identity']]: line for line in good}.values())
    same(test, f'{name}: raw files hold the rest', raw, good)
    flagged = check_records(test, name, good, rows, stored(directory, name, 'enriched'))
    test.equal(f'{name}: flagged records', flagged, says['duplicate'] if what['flag'] else 0)
    missing = sum('_missing' in expected(name, line, rows)['enrichments'] for line in good)
    test.equal(f'{name}: misses are those of the rows that are not there', misses, missing)
    check_lake(test, name, directory)


def main(test):
    network = test.network(queues=2)
    for name in EXAMPLES:
        run_example(test, network, name)


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'zstd', 'kcat'))
