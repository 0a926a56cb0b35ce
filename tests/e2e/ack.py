#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`penstock send --ack` against the real daemon, over AF_XDP: every line has an outcome, and the outcomes are true: what
was called durable is in the topics once, a duplicate is there by another line, and a rejected event is a dead letter with
that reason. Also after `kill -9` of the daemon in the middle of it, and with a daemon that was never there."""
import json
from collections import Counter
from datetime import datetime, timezone

import appliance
from appliance import NEAR_IP, PENSTOCK, Failed, command, consume, event_bytes, example

COUNT = 20000


def ack(network, lines, directory, name, to=None, check=0, **options):
    """Runs the sender to its end; returns its summary and [(line, outcome, reason)]."""
    source, record = directory / f'{name}.in', directory / f'{name}.acked'
    source.write_bytes(b''.join(line + b'\n' for line in lines))
    words = []
    for address in to or [f'{NEAR_IP}:9000']:
        words += ['--to', address]
    for key, value in options.items():
        words += [f'--{key.replace("_", "-")}', value]
    done = network.far(PENSTOCK, 'send', '--ack', '--stream', 'catalog', '--source-id', 7, '--file', source, '--acked', record,
                       '--json', *words, check=False)
    if done.returncode != check:
        raise Failed(f'{name}: status {done.returncode}: {done.stderr.decode()[-800:]}')
    outcomes = [tuple((row.split() + [''])[:3]) for row in record.read_text().splitlines()]
    return json.loads(done.stdout), [(int(n), outcome, reason) for n, outcome, reason in outcomes]


def check_outcomes(test, name, lines, outcomes, daemon):
    """The records that the topics hold now are what the outcomes say."""
    brokers = next(s['brokers'] for s in daemon.status()['sinks'] if s['type'] == 'kafka')
    raw = Counter(r[2] for r in consume(brokers, 'raw_events_topic'))
    dead = {r[2]: r[1].get('penstock.error.reason') for r in consume(brokers, 'dead_letter_topic_enrichment')}
    test.equal(f'{name}: every line has one outcome', sorted(n for n, _, _ in outcomes), list(range(1, len(lines) + 1)))
    said = {n: (outcome, reason) for n, outcome, reason in outcomes}
    identities = Counter(json.loads(value).get('eventId') for value in raw.elements() if value not in dead)
    test.equal(f'{name}: no identity is there twice', [i for i, n in identities.items() if n > 1][:3], [])
    missing, wrong = [], []
    for number, line in enumerate(lines, 1):
        outcome, reason = said[number]
        value = event_bytes(line)
        if outcome == 'durable' and raw[value] == 0:
            missing.append(line)
        elif outcome == 'duplicate' and value not in dead and identities[json.loads(value).get('eventId')] != 1:
            missing.append(line)
        elif outcome == 'rejected' and dead.get(value) != reason:
            wrong.append((line, reason, dead.get(value)))
    test.equal(f'{name}: all that is durable is in the raw topic', missing[:2], [])
    test.equal(f'{name}: all that is rejected is a dead letter with that reason', wrong[:2], [])


def main(test):
    start = datetime.now(timezone.utc).replace(microsecond=0)
    events, expect = test.directory / 'events', test.directory / 'expect'
    command(PENSTOCK, 'gen', 'events', '--count', COUNT, '--seed', 11, '--duplicates', '3%', '--malformed', '2%',
            '--start', start.strftime('%Y-%m-%dT%H:%M:%SZ'), '--out', events, '--expect', expect)
    says = json.loads(expect.read_text())
    # A blank line is no event for the sender, and a long one needs a datagram that the path does not take.
    lines = [line for line in events.read_bytes().split(b'\n')[:-1] if line.strip(b' \t\r') and len(line) < 1200]
    network = test.network(queues=2)
    daemon = test.daemon(example('catalog', test.directory, (r'products: {required: true}', 'products: {required: false}')))
    daemon.start()

    summary, outcomes = ack(network, lines, test.directory, 'first')
    counts = Counter(outcome for _, outcome, _ in outcomes)
    test.equal('nothing is left', (summary['pending'], summary['events']), (0, len(lines)))
    test.equal('the summary is the record', [summary[k] for k in ('durable', 'duplicate', 'rejected')],
               [counts[k] for k in ('durable', 'duplicate', 'rejected')])
    test.check('most are durable', counts['durable'] > COUNT * 0.9, counts)
    test.check('round trips were measured', summary['rtt_us']['p50'] > 0 and
               0 < summary['ack_us']['p50'] <= summary['ack_us']['p99'] <= summary['ack_us']['p999'], summary)
    check_outcomes(test, 'first', lines, outcomes, daemon)
    ledger = daemon.settle(len(lines))
    test.check('conserved', ledger['conserved'])

    again, outcomes = ack(network, lines, test.directory, 'again')
    test.equal('the same once more: all are duplicates or dead letters', again['durable'], 0)
    check_outcomes(test, 'again', lines, outcomes, daemon)

    # Nobody there: refused at once, and all is unknown.
    nobody, outcomes = ack(network, lines[:100], test.directory, 'nobody', to=[f'{NEAR_IP}:19000'], check=1, deadline=1)
    test.equal('without a daemon nothing is called durable', (nobody['durable'], {o for _, o, _ in outcomes}), (0, {'unknown'}))
    # One of two: the second one has them.
    other, outcomes = ack(network, lines[:100], test.directory, 'other', to=[f'{NEAR_IP}:19000', f'{NEAR_IP}:9000'])
    test.equal('the second of two appliances takes them', other['pending'], 0)
    wrong = network.far(PENSTOCK, 'send', '--ack', '--stream', 'nothing', '--to', f'{NEAR_IP}:9000', '--deadline', 1,
                        '--file', '-', check=False, input=b'{}\n')
    test.check('an unknown stream is named', wrong.returncode == 1 and b'unknown_stream' in wrong.stderr, wrong.stderr)
    test.equal('ends in order', daemon.end(), 0)


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'kcat'))
