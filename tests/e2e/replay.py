#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""penstock dlq replay, from files into a running appliance: what fails again says how often, what has failed too often is
left, what was mended goes through, with or without an edit, and a replay that is killed goes on where it was."""
import json
import re
import socket
import subprocess
import time
import uuid
from collections import Counter

import appliance
from appliance import NEAR_IP, PENSTOCK, Failed, command, example, stored, wait_until

SINCE = '2020-01-01T00:00:00Z'
BROKEN, MISSING, GOOD = 300, 50, 50
SENDER = 5  # who replays, with a key
CHUNK = 256  # records that the tool sends as one
EVENT = '{"eventId":"%s","timestamp":"%s","eventType":"%s","userId":"user-1","productId":"prod-%d"}'


def event(kind, product):
    return (EVENT % (uuid.uuid4(), time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), kind, product)).encode()


class Replay:
    def __init__(self, test, network):
        self.test, self.network = test, network

    def words(self, state, reason, *options, to=f'{NEAR_IP}:9000'):
        return [PENSTOCK, 'dlq', 'replay', '--from-files', self.test.directory / 'lake', '--stream', 'catalog', '--from',
                SINCE, '--appliance', to, '--state', self.test.directory / state, '--reason', reason,
                '--source-id', SENDER, '--key-file', self.test.directory / 'key', *options]

    def run(self, *words, check=True):
        """From the far end, where senders are. Returns the run, and its counts."""
        done = self.network.far(*self.words(*words), check=check)
        last = done.stdout.decode().splitlines()[-1:]
        return done, {name: int(n) for name, n in re.findall(r'(\w+)=(\d+)', last[0] if last else '')}


def dead(test, reason):
    """How many dead letters have been replayed how often."""
    shown = command(PENSTOCK, 'dlq', 'show', '--from-files', test.directory / 'lake', '--reason', reason, '--json',
                    '--limit', 100000).stdout
    return Counter(int(json.loads(line)['replays']) for line in shown.splitlines())


def wait_dead(test, reason, replays, n):
    wait_until(lambda: dead(test, reason)[replays] == n, f'{n} dead letters with {replays} replays')


def fails_again(test, replay, daemon):
    done, _ = replay.run('dry', 'field_enum', '--dry-run')
    test.check('dry run: shows what would be sent', done.stdout.count(b'would be replayed') == BROKEN and
               b'NOPE' in done.stdout, done.stdout[-300:])
    test.equal('dry run: sends nothing', daemon.stream()['received'], BROKEN + MISSING + GOOD)
    test.check('dry run: writes no state', not (test.directory / 'dry').exists())
    for n in range(1, 4):
        _, counts = replay.run('again', 'field_enum')
        test.equal(f'replay {n}: all are sent and fail again',
                   [counts[k] for k in ('matched', 'sent', 'failed_again', 'durable', 'stopped')],
                   [BROKEN, BROKEN, BROKEN, 0, 0])
        wait_dead(test, 'field_enum', n, BROKEN)
    done, counts = replay.run('again', 'field_enum')
    test.equal('what has been replayed three times is left', (counts['stopped'], counts['sent']), (BROKEN, 0))
    test.equal('and listed', done.stdout.count(b'has failed too often'), BROKEN)
    _, counts = replay.run('again', 'field_enum')
    test.equal('a state is of what is dealt with', counts['matched'], 0)
    done, _ = replay.run('again', 'json_syntax', check=False)
    test.check('a state of another replay is refused', done.returncode == 1 and b'another replay' in done.stderr,
               done.stderr)


def edited(test, replay, daemon):
    received = daemon.stream()['received']
    for name, edit, reason in (('lines', 'head -n 1', b'wrote 1 lines for 256'), ('status', 'cat; exit 3', b'status 3')):
        done, _ = replay.run(f'bad-{name}', 'field_enum', '--edit', edit, '--max-replays', 15, check=False)
        test.check(f'an edit that fails ({name}) is an error', done.returncode == 1 and reason in done.stderr,
                   done.stderr)
        test.check(f'and keeps no state ({name})', not (test.directory / f'bad-{name}').exists())
    test.equal('nothing is sent', daemon.stream()['received'], received)
    durable = daemon.stream()['durable']
    _, counts = replay.run('edited', 'field_enum', '--edit', 'sed s/NOPE/PRODUCT_VIEW/', '--max-replays', 15)
    test.equal('edited: each event goes through, once', [counts[k] for k in ('sent', 'durable', 'duplicate',
               'failed_again')], [4 * BROKEN, BROKEN, 3 * BROKEN, 0])
    test.equal('edited: the appliance counts the same', daemon.stream()['durable'] - durable, BROKEN)


def mended(test, replay, daemon, snapshot):
    daemon.push(snapshot)
    before = daemon.stream()
    _, counts = replay.run('mended', 'dimension_miss', '--rate', 100000)
    test.equal('after a push: no mark of their own holds them back',
               [counts[k] for k in ('sent', 'durable', 'duplicate', 'failed_again')], [MISSING, MISSING, 0, 0])
    after = daemon.stream()
    test.equal('after a push: durable', after['durable'] - before['durable'], MISSING)


def killed(test, replay):
    """By a receiver of ours, with plain datagrams."""
    total = sum(dead(test, 'field_enum').values())
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: it is not read all the time
    listener.bind(('127.0.0.1', 0))
    listener.settimeout(1)
    got = Counter()

    def receive():
        try:
            for line in listener.recv(65536).split(b'\n'):
                if line:
                    got[line] += 1
        except TimeoutError:
            pass
        return sum(got.values())

    words = [str(w) for w in replay.words('killed', 'field_enum', '--plain', '--rate', 400, '--max-replays', 15,
                                          to=f'127.0.0.1:{listener.getsockname()[1]}')]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + appliance.DEADLINE_S
        while receive() < CHUNK + 100:
            if time.monotonic() > deadline or process.poll() is not None:
                raise Failed(f'{sum(got.values())} events arrived')
        process.kill()
    before = sum(got.values())
    done = command(*words[:words.index('--rate') + 1], 100000, *words[words.index('--rate') + 2:])
    while receive() < total or listener_has_more(listener):
        if time.monotonic() > deadline:
            raise Failed(f'{sum(got.values())} of {total} events arrived')
    sent = int(re.search(rb'sent=(\d+)', done.stdout)[1])
    test.check('killed: the next run goes on behind the last whole chunk', total - before <= sent <= total - CHUNK and
               (total - sent) % CHUNK == 0, (total, before, sent))
    marks = Counter(line[:3] for line in got)
    test.check('killed: nothing is left out, and each event has its mark', len(got) == total and
               set(marks) == {b'\x1e%d\x1e' % n for n in range(1, 5)}, (len(got), marks))
    listener.close()


def listener_has_more(listener):
    listener.setblocking(False)
    try:
        return bool(listener.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        listener.settimeout(1)


def main(test):
    rows = test.directory / 'rows.jsonl'
    rows.write_text('{"product_id":"prod-1","name":"one"}\n')
    network = test.network(queues=2)
    daemon = test.daemon(example('catalog', test.directory, (r'as: product_details, on_miss: emit',
                                                             'as: product_details, on_miss: dlq'),
                                 (r'control:\n', 'transport: {authentication: required}\n\ncontrol:\n'))).start()
    key = test.directory / 'key'
    key.touch(mode=0o600)
    key.write_bytes(daemon.cli('source', 'add', SENDER).stdout)
    daemon.push(test.build(rows, 'product_id', 'products'))
    daemon.wait_log('ready$')
    lines = [event('NOPE', 1) for _ in range(BROKEN)] + [event('PURCHASE', 2) for _ in range(MISSING)]
    lines += [event('PURCHASE', 1) for _ in range(GOOD)]
    ledger = appliance.Feeder(daemon).send(network, lines)
    test.equal('some become dead letters', (ledger['durable'], ledger['dead_lettered']), (GOOD, BROKEN + MISSING))
    wait_dead(test, 'field_enum', 0, BROKEN)
    wait_dead(test, 'dimension_miss', 0, MISSING)

    replay = Replay(test, network)
    fails_again(test, replay, daemon)
    edited(test, replay, daemon)
    rows.write_text(rows.read_text() + '{"product_id":"prod-2","name":"two"}\n')
    mended(test, replay, daemon, test.build(rows, 'product_id', 'products'))
    killed(test, replay)
    test.check('conserved', daemon.stream()['conserved'], daemon.stream())
    test.equal('ends in order', daemon.end(), 0)
    raw = stored(test.directory, 'catalog', 'raw')
    test.check('no mark is stored', len(raw) == BROKEN + MISSING + GOOD and all(x.startswith(b'{"eventId"') for x in raw),
               len(raw))


if __name__ == '__main__':
    appliance.run(main)
