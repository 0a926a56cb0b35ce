#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The main job over a real port: catalog events through AF_XDP on two queues and two workers.

Every counter is what the generator says, and every stored and delivered byte is what Python computes from the input:
nothing is lost, nothing comes twice, also where the same events arrive on both queues at once.
"""
import base64
import json
import os
import sys
from collections import Counter
from datetime import datetime, timezone

import appliance
from appliance import PENSTOCK, command, consume, event_bytes, example, rows_of, same, stored, without_time

sys.path.insert(0, str(appliance.SOURCE / 'tests' / 'cli'))
import gen_recount  # noqa: E402

COUNT = 200000
TOPICS = 6000  # so many first events are compared in the topics: the embedded broker keeps some MB of each
TWICE = 40000  # so many events are sent by two senders at the same time
PRODUCTS, USERS, PLACES = 20000, 20000, 1000
JOINS = [('products', 'productId', 'product_details', 'product_id'), ('users', 'userId', 'user_profile', 'user_id'),
         ('places', 'location', 'geo', 'place_id')]


class Expected:
    """What must come of the input, by Python's json module and no code of ours."""

    def __init__(self, lines, rows, start):
        gen_recount.START = start
        self.enriched, self.raw, self.key, self.identity = [], [], {}, {}
        self.dead, self.duplicates = [], 0
        self.misses = Counter()
        seen = set()
        for line in lines:
            try:
                event = gen_recount.parse(line)
                gen_recount.validate(event)
            except gen_recount.Refused:
                self.dead.append(line)
                continue
            line = event_bytes(line)
            if event['eventId'] in seen:
                self.duplicates += 1
                continue
            seen.add(event['eventId'])
            enriched = self.splice(line, event, rows)
            self.raw.append(line)
            self.enriched.append(enriched)
            for value in (line, enriched):
                self.key[value] = event.get('productId', event['eventId'])
                self.identity[value] = event['eventId']

    def splice(self, line, event, rows):
        parts, missing = [], []
        for dimension, key, name, _ in JOINS:
            if event.get(key) is None:
                continue
            row = rows[dimension].get(event[key])
            if row is None:
                missing.append(b'"%s"' % dimension.encode())
                self.misses[dimension] += 1
            else:
                parts.append(b'"%s":%s' % (name.encode(), row))
        if missing:
            parts.append(b'"_missing":[%s]' % b','.join(missing))
        parts.append(b'"processing_timestamp":""')
        return line[:-1].rstrip(b' \t\r') + b',"enrichments":{' + b','.join(parts) + b'}}'


def original(line):
    letter = json.loads(line)
    if 'value' in letter:
        return letter['value'].encode()
    return base64.b64decode(letter['value_base64'])


def check_topics(test, daemon, lines, rows, start):
    expected = Expected(lines, rows, start)
    brokers = next(s['brokers'] for s in daemon.status()['sinks'] if s['type'] == 'kafka')
    enriched = consume(brokers, 'enriched_events_topic')
    raw = consume(brokers, 'raw_events_topic')
    dead = consume(brokers, 'dead_letter_topic_enrichment')
    same(test, 'enriched topic: every event, once', [without_time(r[2]) for r in enriched], expected.enriched)
    same(test, 'raw topic: the bytes as they came', [r[2] for r in raw], expected.raw)
    same(test, 'dead letter topic: the bytes as they came', [r[2] for r in dead], expected.dead)
    wrong = [r for r in enriched + raw if (r[0] or b'').decode() != expected.key.get(
        without_time(r[2]) if r[2] not in expected.key else r[2])]
    test.check('keys are product ids', not wrong, wrong[:1])
    wrong = [r[1] for r in enriched if not (
        r[1].get('ce_specversion') == '1.0' and r[1].get('ce_type') == 'penstock.catalog' and
        r[1].get('ce_source') == '/penstock/ingest-1/catalog' and r[1].get('ce_time', '').endswith('Z') and
        r[1].get('ce_id') == expected.identity.get(without_time(r[2])))]
    test.check('enriched records have CloudEvents headers', not wrong, wrong[:1])
    names = ('stage', 'reason', 'message', 'stream', 'timestamp', 'replays')
    wrong = [r[1] for r in dead if not all(r[1].get('penstock.error.' + n) for n in names) or
             r[1]['penstock.error.stream'] != 'catalog' or '__connect.errors.exception.message' not in r[1]]
    test.check('dead letters say what is wrong', not wrong, wrong[:1])
    reasons = Counter(r[1].get('penstock.error.reason') for r in dead)
    drops = Counter(daemon.stream()['drops'])
    drops.pop('duplicate', None)
    test.equal('dead letters: the reasons that are counted', reasons, drops)


def main(test):
    start = datetime.now(timezone.utc).replace(microsecond=0)
    events, expect = test.directory / 'events', test.directory / 'expect'
    command(PENSTOCK, 'gen', 'events', '--count', COUNT, '--seed', 3, '--duplicates', '3%', '--malformed', '2%',
            '--unknown-products', '2%', '--products', PRODUCTS, '--users', USERS, '--places', PLACES,
            '--start', start.strftime('%Y-%m-%dT%H:%M:%SZ'), '--out', events, '--expect', expect)
    says = json.loads(expect.read_text())
    lines = events.read_bytes().split(b'\n')[:-1]
    rows, snapshots = {}, []
    for name, _, _, key in JOINS:
        n = {'products': PRODUCTS, 'users': USERS, 'places': PLACES}[name]
        for kind in ('csv', 'jsonl'):
            command(PENSTOCK, 'gen', 'dimension', '--name', name, '--rows', n, '--out',
                    test.directory / f'{name}.{kind}')
        snapshots.append(test.build(test.directory / f'{name}.csv', key, name))
        rows[name] = rows_of(test.directory / f'{name}.jsonl')

    network = test.network(queues=2)
    cpu = max(os.sched_getaffinity(0))
    daemon = test.daemon(example('catalog', test.directory, lcores=f'["1@{cpu}", "2@{cpu}"]')).start()
    for snapshot in snapshots:
        daemon.push(snapshot)
    daemon.wait_log('ready$')

    feeder = appliance.Feeder(daemon)
    feeder.send(network, lines[:TOPICS])
    check_topics(test, daemon, lines[:TOPICS], rows, start)

    # The valid events of one part come from two senders at once, and so race each other through both queues.
    both = [line for line in lines[TOPICS:TOPICS + TWICE]]
    dead = Expected(both, rows, start).dead
    broken = set(dead)
    both = [line for line in both if line not in broken]
    feeder.send(network, both, n_senders=2)
    feeder.send(network, dead)
    ledger = feeder.send(network, lines[TOPICS + TWICE:])

    test.equal('received', ledger['received'], says['sent'] + len(both))
    test.equal('durable', ledger['durable'], says['durable'])
    test.equal('dead-lettered', ledger['dead_lettered'], says['dead_lettered'])
    test.equal('duplicate', ledger['duplicate'], says['duplicate'] + len(both))
    test.equal('nothing shed', ledger['shed'], 0)
    test.check('conserved', ledger['conserved'])
    drops = dict(says['by_reason'], duplicate=says['duplicate'] + len(both))
    test.equal('each reason', ledger['drops'], drops)
    misses = {join['dimension']: join['misses'] for join in ledger['enrich']}
    test.equal('unknown products', misses['products'], says['unknown_products'])
    status = daemon.status()
    packets = [source['packets'] for source in status['sources']]
    test.check('both queues had their part', len(packets) == 2 and min(packets) > sum(packets) / 10, packets)
    test.equal('both workers had one', sorted(source['worker'] for source in status['sources']), [0, 1])
    test.equal('nothing missed', [(s['missed'], s['errors']) for s in status['sources']], [(0, 0)] * 2)
    test.equal('no alarms', status['alarms'], [])
    redirected = status['sources'][0]['steer']['redirected']
    test.equal('what was redirected was received', sum(packets), redirected)

    test.equal('ends in order', daemon.end(), 0)
    line = daemon.wait_log(r'stream catalog: (conserved: .*)')[1]
    test.equal('its last words', line, 'conserved: yes ' + ' '.join(
        f'{name}={ledger[name]}' for name in ('received', 'durable', 'dead_lettered', 'duplicate', 'shed')) +
        ' in_flight=0')

    expected = Expected(lines, rows, start)
    test.equal('Python counts the same duplicates', expected.duplicates, says['duplicate'])
    test.equal('and the same misses', {n: expected.misses[n] for n in misses}, misses)
    same(test, 'enriched files: every event, once, byte for byte',
         map(without_time, stored(test.directory, 'catalog', 'enriched')), expected.enriched)
    same(test, 'raw files: the bytes as they came', stored(test.directory, 'catalog', 'raw'), expected.raw)
    letters = stored(test.directory, 'catalog', 'dead_letter')
    same(test, 'dead letter files: the bytes as they came', map(original, letters), expected.dead)
    test.equal('dead letter files: the reasons', Counter(json.loads(x)['reason'] for x in letters),
               Counter(says['by_reason']))
    left = list((test.directory / 'lake').rglob('*.tmp*')) + list((test.directory / 'lake').rglob('.*'))
    test.check('no unfinished files', not left, left)


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'zstd', 'kcat'))
