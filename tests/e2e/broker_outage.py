#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Kafka broker of another process that refuses, goes away and comes back: what is counted as durable is in the topic,
and what could not be delivered at the end is counted as that.

Usage: broker_outage.py MOCK_BROKER
"""
import json
import sys

import appliance
from appliance import CATALOG_TOPICS as TOPICS
from appliance import PENSTOCK, Broker, command, consume, event_bytes, example, stored, wait_until

PART = 2000


def identities(records):
    return [json.loads(value)['eventId'] for value in records]


def main(test):
    broker = Broker(sys.argv[1])
    test.closing.append(broker.close)
    events, rows = test.directory / 'events', test.directory / 'products.jsonl'
    command(PENSTOCK, 'gen', 'events', '--count', 5 * PART, '--seed', 31, '--products', 2000, '--out', events)
    lines = events.read_bytes().split(b'\n')[:-1]
    parts = [lines[at:at + PART] for at in range(0, len(lines), PART)]
    command(PENSTOCK, 'gen', 'dimension', '--name', 'products', '--rows', 2000, '--out', rows)
    network = test.network(queues=2)
    text = example('catalog', test.directory, (r'bootstrap: embedded', f'bootstrap: {broker.address}'),
                   (r'control:\n', 'control:\n  drain: 3s\n'))
    daemon = test.daemon(text).start()
    daemon.push(test.build(rows, 'product_id', 'products'))
    daemon.wait_log('ready$')
    feeder = appliance.Feeder(daemon)

    ledger = feeder.send(network, parts[0])
    test.equal('all is well at first', (ledger['durable'], ledger['shed']), (PART, 0))

    broker.tell('errors')
    ledger = feeder.send(network, parts[1])
    test.equal('errors of the broker lose nothing', (ledger['durable'], ledger['shed']), (2 * PART, 0))

    def in_files():
        return next(s['records'] for s in daemon.status()['sinks'] if s['type'] != 'kafka')

    def send_without_broker(part):
        sender = appliance.Sender(network)
        feeder.feed([sender], part, events_per_s=10000)
        sender.close()
        wait_until(lambda: daemon.stream()['received'] == feeder.sent, 'all is received')

    broker.tell('down')
    before = daemon.stream()
    send_without_broker(parts[2])
    wait_until(lambda: in_files() > 4 * PART, 'the files have it')
    ledger = daemon.stream()
    test.equal('nothing is durable that Kafka has not', ledger['durable'], before['durable'])
    test.equal('it waits', ledger['in_flight'] + ledger['shed'], PART)
    test.check('conserved without a broker', ledger['conserved'], ledger)
    broker.tell('up')
    ledger = daemon.settle(feeder.sent)
    test.equal('it is delivered when the broker is back', ledger['durable'] + ledger['shed'], 3 * PART)
    ledger = feeder.send(network, parts[3])
    test.equal('and so is what follows', ledger['durable'] + ledger['shed'], 4 * PART)
    test.check('most was not shed', ledger['shed'] < PART, ledger)

    durable = ledger['durable']
    broker.tell('down')
    send_without_broker(parts[4])
    status = daemon.end()
    ledger = dict(word.split('=') for word in daemon.wait_log('conserved: yes (.*)')[1].split())
    test.equal('an end without a broker says that something is left', status, 1)
    test.check('and what', 'did not take everything' in daemon.log(), daemon.log()[-300:])
    test.equal('what was not delivered is counted as shed', (int(ledger['received']), int(ledger['durable']),
               int(ledger['shed']), int(ledger['in_flight'])), (5 * PART, durable, 5 * PART - durable, 0))

    broker.tell('up')
    sent = {json.loads(line)['eventId'] for line in lines}
    for topic, output in zip(TOPICS, ('raw', 'enriched')):
        found = identities(r[2] for r in consume(broker.address, topic))
        test.check(f'{topic}: all that is durable is there, and no more', len(set(found)) == durable and
                   sent.issuperset(found), f'{len(set(found))} of {durable}')
        print(f'# {topic}: {len(found) - len(set(found))} records came twice')
        files = set(identities(stored(test.directory, 'catalog', output)))
        test.check(f'{output} files: all that is durable is there', files.issuperset(found), len(files))
    raw = {event_bytes(line) for line in lines}
    test.check('the bytes as they came', raw.issuperset(r[2] for r in consume(broker.address, TOPICS[0])))


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'zstd', 'kcat'))
