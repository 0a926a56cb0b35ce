#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`kill -9` of the daemon, again and again, while `penstock send --ack` sends: the sender ends with every line completed, and
what it was told is durable, or was before, is in Kafka. So it is for the example program of libpenstock.

Usage: ack_crash.py MOCK_BROKER
"""
import json
import subprocess
import sys
import time
from collections import Counter

import appliance
from appliance import BUILD, DEADLINE_S, NEAR_IP, PENSTOCK, command, consume, event_bytes, example, wait_until
from broker_outage import Broker

COUNT, CRASHES = 12000, 4


def main(test):
    broker = Broker(sys.argv[1])
    test.closing.append(broker.close)
    events, record = test.directory / 'events', test.directory / 'acked'
    command(PENSTOCK, 'gen', 'events', '--count', COUNT, '--seed', 17, '--start',
            time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), '--out', events)
    lines = events.read_bytes().split(b'\n')[:-1]
    network = test.network(queues=2)
    text = example('catalog', test.directory, (r'bootstrap: embedded', f'bootstrap: {broker.address}'),
                   (r'products: {required: true}', 'products: {required: false}'))
    daemon = test.daemon(text).start()

    sender = subprocess.Popen(network.inside(
        PENSTOCK, 'send', '--ack', '--stream', 'catalog', '--to', f'{NEAR_IP}:9000', '--file', events, '--acked', record,
        '--rate', 8000, '--json'), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    test.closing.append(sender.kill)
    for crash in range(1, CRASHES + 1):
        durable = daemon.stream()['durable']
        wait_until(lambda d=durable: sender.poll() is not None or daemon.stream()['durable'] > d + 500, 'some are durable')
        if sender.poll() is not None:
            break
        daemon.process.kill()
        daemon.wait()
        daemon = test.daemon(text, name=f'penstockd-{crash}').start()
    out, _ = sender.communicate(timeout=DEADLINE_S)
    summary = json.loads(out)
    test.equal('the sender is content', (sender.returncode, summary['pending'], summary['rejected']), (0, 0, 0))
    test.check('it saw the crashes', summary['sessions'] > CRASHES / 2 and summary['retransmits'] > 0, summary)

    said = Counter(int(row.split()[0]) for row in record.read_text().splitlines())
    test.equal('every line has one outcome', (len(said), set(said.values())), (len(lines), {1}))
    raw = Counter(r[2] for r in consume(broker.address, 'raw_events_topic'))
    test.equal('all of them are in Kafka', [line for line in lines if raw[event_bytes(line)] == 0][:2], [])
    print(f'# {summary["sessions"]} sessions, {summary["retransmits"]} sent again, {summary["duplicate"]} duplicates, '
          f'{sum(n - 1 for n in raw.values())} records more than once', flush=True)

    example_program = BUILD / 'tools' / 'libpenstock' / 'penstock_example'
    done = network.far(example_program, 'catalog', f'{NEAR_IP}:19000', f'{NEAR_IP}:9000',
                       input=b''.join(line + b'\n' for line in lines[:500]) + b'{"no":"event"}\n')
    counts = dict(row.split() for row in done.stdout.decode().splitlines() if not row.startswith('line'))
    test.equal('the example: duplicates, and one that is none', (counts['duplicate'], counts['rejected']), ('500', '1'))
    test.check('and why', b'line 501: field_missing' in done.stdout, done.stdout)
    test.equal('ends in order', daemon.end(), 0)


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'kcat'))
