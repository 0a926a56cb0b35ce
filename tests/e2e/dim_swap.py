#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Snapshots are swapped under load: nothing is lost, no event sees two versions, the old ones are freed. What is
damaged is refused and changes nothing; a rollback brings the version before."""
import json
import re
from collections import Counter
from pathlib import Path

import appliance
from appliance import PENSTOCK, command, event_bytes, example, stored, wait_until

SWAPS = 20
EVENTS = 500000  # at most; the sender ends with the last swap
RATE = 20000
ROWS = 20000
BETWEEN = 3000  # events received from one swap to the next
JOINS = {'products': 'product_details', 'users': 'user_profile'}
KEYS = {'products': 'product_id', 'users': 'user_id'}


def memory_of(pid):
    """Resident memory and hugepages of a process, in bytes."""
    text = Path(f'/proc/{pid}/status').read_text()
    return sum(int(re.search(rf'{name}:\s+(\d+) kB', text)[1]) * 1024 for name in ('VmRSS', 'HugetlbPages'))


def build(test, dimension, keys, version):
    """A snapshot whose every row says the version."""
    rows = test.directory / f'{dimension}.jsonl'
    filler = 'x' * 150
    rows.write_text(''.join(f'{{"{KEYS[dimension]}":"{key}","v":"{version}","of":"{dimension}","filler":"{filler}"}}\n'
                            for key in keys))
    path = test.build(rows, KEYS[dimension], f'{dimension}-{version}', '--name', dimension, '--version', version)
    rows.unlink()
    return path


def damaged(path, kind):
    """A copy of a snapshot with something wrong."""
    data = bytearray(path.read_bytes())
    if kind == 'truncated':
        data = data[:len(data) // 2]
    elif kind == 'corrupt':
        data[len(data) // 2] ^= 1
    elif kind == 'of another format version':
        data[8:12] = (2).to_bytes(4, 'little')
    elif kind == 'of something else':
        data = bytearray(b'product_id,name\nprod-1,x\n')
    out = path.with_name(kind.replace(' ', '-') + '.dim')
    out.write_bytes(data)
    return out


def versions(lines):
    """The versions of events: {(products, users)}, and the events that contradict themselves."""
    seen, wrong = Counter(), []
    for line in lines:
        enrichments = json.loads(line)['enrichments']
        says = enrichments.get('snapshot_versions', {})
        for dimension, name in JOINS.items():
            row = enrichments.get(name)
            if (row is None) != (dimension in enrichments.get('_missing', [])) and dimension in says:
                wrong.append(line)
            if row is not None and (row['v'] != says.get(dimension) or row['of'] != dimension):
                wrong.append(line)
            if dimension in says:
                seen[dimension, says[dimension]] += 1
    return seen, wrong


def main(test):
    events = test.directory / 'events'
    command(PENSTOCK, 'gen', 'events', '--count', EVENTS, '--seed', 5, '--unknown-products', '1%', '--products', ROWS,
            '--users', ROWS, '--out', events)
    lines = events.read_bytes().split(b'\n')[:-1]
    keys = {}
    for dimension, key in KEYS.items():
        text = command(PENSTOCK, 'gen', 'dimension', '--name', dimension, '--rows', ROWS).stdout
        keys[dimension] = [json.loads(line)[key] for line in text.split(b'\n')[:-1]]

    network = test.network(queues=2)
    text = example('catalog', test.directory, (r'partition_key:', 'snapshot_versions: true\n    partition_key:'),
                   (r'  kafka:\n(    .*\n)+', ''))
    daemon = test.daemon(text).start()
    for dimension in KEYS:
        daemon.push(build(test, dimension, keys[dimension], 'v0'), dimension)
    daemon.wait_log('ready$')

    snapshots = [[build(test, dimension, keys[dimension], f'v{n}') for dimension in KEYS]
                 for n in range(1, SWAPS + 1)]
    size = snapshots[0][0].stat().st_size
    load = appliance.Load(network, appliance.Feeder(daemon), lines, RATE)

    def flows(events):
        begin = daemon.stream()['received']
        wait_until(lambda: load.error or daemon.stream()['received'] >= begin + events, f'{events} more events')

    early = 0
    for n, snapshot in enumerate(snapshots):
        flows(BETWEEN)
        for dimension, path in zip(KEYS, snapshot):
            daemon.push(path, dimension)
        if n == 5:
            early = memory_of(daemon.process.pid)
    flows(BETWEEN)
    grown = memory_of(daemon.process.pid) - early
    test.check('all swaps were under load', load.is_alive())
    sent = load.finish()
    lines = lines[:sent]
    ledger = daemon.settle(sent)
    test.check('old snapshots are freed', grown < 6 * size, f'{grown} bytes more after {SWAPS - 5} swaps of 2 '
               f'snapshots of {size} bytes')
    test.equal('nothing is lost', (ledger['received'], ledger['durable'], ledger['shed'], ledger['dead_lettered']),
               (sent, sent, 0, 0))
    test.check('conserved', ledger['conserved'])

    loaded = {d['name']: d for d in daemon.status()['dimensions']}
    test.equal('the last push is current', [loaded[d]['version'] for d in KEYS], [f'v{SWAPS}'] * 2)
    good = build(test, 'products', keys['products'], 'refused')
    for kind in ('truncated', 'corrupt', 'of another format version', 'of something else'):
        done = daemon.push(damaged(good, kind), 'products', check=False)
        said = done.stderr.decode().strip()
        test.check(f'a snapshot {kind} is refused', done.returncode == 1 and '\n' not in said and re.fullmatch(
            r'penstock dim push: [^/]{10,}', said),
                   f'status {done.returncode}: {said}')
        print(f'# {said}')
    done = daemon.push(good, 'nothing', check=False)
    test.check('so is one of a dimension that is not configured', done.returncode == 1 and b'nothing' in done.stderr,
               done.stderr)
    test.equal('and the old one stays', {d['name']: d for d in daemon.status()['dimensions']}['products']['version'],
               f'v{SWAPS}')
    left = [p for p in (test.directory / 'state').rglob('*') if p.is_file() and p.parent.name == 'state'
            and p.name != 'lock']
    test.check('nothing of them is left in the state directory', not left, left)

    daemon.cli('dim', 'rollback', 'products')
    loaded = {d['name']: d for d in daemon.status()['dimensions']}
    test.equal('rollback brings the version before', loaded['products']['version'], f'v{SWAPS - 1}')
    test.equal('of that dimension alone', loaded['users']['version'], f'v{SWAPS}')
    known = set(keys['products'])
    after = [line for line in lines if line.startswith(b'{"eventId":"') and json.loads(line).get('productId') in known]
    fresh = [b'{"eventId":"00000000-0000-4000-8000-%012d"' % i + line[len('{"eventId":"') + 37:]
             for i, line in enumerate(after[:500])]
    feeder = appliance.Feeder(daemon, sent)
    ledger = feeder.send(network, fresh)
    test.equal('events go on', ledger['durable'], sent + len(fresh))
    test.equal('ends in order', daemon.end(), 0)

    enriched = stored(test.directory, 'catalog', 'enriched')
    late = [line for line in enriched if line.startswith(b'{"eventId":"00000000-')]
    seen, wrong = versions(line for line in enriched if not line.startswith(b'{"eventId":"00000000-'))
    test.check('the rows of an event are of the versions that it names', not wrong, wrong[:1])
    test.equal('every version was used', {v for v, n in seen.items() if n > 0},
               {(d, f'v{n}') for d in KEYS for n in range(SWAPS + 1)})
    seen, wrong = versions(late)
    test.check('after the rollback too', not wrong, wrong[:1])
    test.equal('and the version is the one before', {v for d, v in seen if d == 'products'}, {f'v{SWAPS - 1}'})
    test.equal('every event is there once', sorted(stored(test.directory, 'catalog', 'raw')),
               sorted(event_bytes(x) for x in lines + fresh))


if __name__ == '__main__':
    appliance.run(main)
