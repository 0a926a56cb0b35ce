#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A daemon that is killed at a random moment: after the restart the same events bring nothing twice, and nothing is
missing. The broker is a process of its own. Needs no root and no network. Prints TAP.

Usage: restart.py MOCK_BROKER [SEED]
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from appliance import DEADLINE_S, PENSTOCKD, Tap, consume, wait_until

EVENTS = 60000
KILLS = 4

CONFIG = """
control: {{state: {directory}/state, socket: {directory}/socket}}
dataplane: {{lcores: [{cpu}], hugepages: off, memory_mb: 64}}
sources: [{{name: input, type: file, path: "{input}", stream: {stream}}}]
sinks: {{kafka: {{bootstrap: "{broker}", record: {record}}}}}
streams:
  - name: {stream}
    identity: {identity}
    fields: {{id: {{type: string, required: true}}, n: {{type: integer}}}}
    unknown_fields: keep
    dedup: {{window: 1h, budget_mb: 8}}
    output: {{enriched: {topic}, dead_letter: {topic}_dead}}
"""
CASES = (('event', 'id'), ('batch', 'id'), ('event', 'null'))
CONFIG_ONE = CONFIG.replace('    identity: {identity}\n', '')


class Daemon:
    def __init__(self, directory, text):
        self.config, self.log = Path(directory, 'penstock.yaml'), Path(directory, 'log')
        self.config.write_text(text)

    def start(self):
        with open(self.log, 'wb') as log:
            return subprocess.Popen([PENSTOCKD, '--config', self.config, '--once'], stderr=log)

    def run(self):
        with self.start() as process:
            status = process.wait(DEADLINE_S)
        text = self.log.read_text()
        return status, {name: int(n) for name, n in re.findall(r'(\w+)=(\d+)', text)}, text


def identities(broker, topic):
    found = Counter()
    for _, _, value in consume(broker, topic):
        for line in value.split(b'\n'):
            found[json.loads(line)['id']] += 1
    return found


def kill_and_restart(test, broker, directory, record, identity, seed):
    chance, name = random.Random(seed), f'{record} {identity}'
    topic = f'{record}_{identity}'
    events = Path(directory, 'events')
    # Members that the daemon adds are there already, in places where they mean nothing.
    events.write_text(''.join(f'{{"id":"{i}","n":{i},"x":{{"enrichments":{{"a":[{i},"}}"]}}}},"y":"\\"{{"}}\n'
                              for i in range(EVENTS)))
    text = (CONFIG_ONE if identity == 'null' else CONFIG).format(
        directory=directory, cpu=f'"1@{max(os.sched_getaffinity(0))}"', input=events, stream=f's_{topic}',
        broker=broker, record=record, identity=identity, topic=topic)
    daemon = Daemon(directory, text)
    restored = 0
    for _ in range(KILLS):
        with daemon.start() as process:
            wait_until(lambda: re.search('^.*ready$', daemon.log.read_text(), re.MULTILINE) or
                       process.poll() is not None, 'the daemon is ready')
            time.sleep(chance.uniform(0, 0.15))
            process.kill()
        log = daemon.log.read_text()
        found = re.search(r'restored: (\d+) identities from \d+ segments, (\d+) more', log)
        restored += sum(map(int, found.groups())) if found else 0
        print('#', found[0] if found else log[-300:], flush=True)
    status, counts, log = daemon.run()
    test.check(f'{name}: the last one ends in order', status == 0 and 'conserved: yes' in log, log[-800:])
    found = identities(broker, topic)
    missing, repeated = EVENTS - len(found), sum(found.values()) - len(found)
    test.check(f'{name}: killed {KILLS} times, and nothing is missing or there twice', missing == 0 and repeated == 0,
               f'seed={seed} missing={missing} repeated={repeated}')
    test.check(f'{name}: the kills came while there was something to lose', 0 < restored, restored)
    status, counts, log = daemon.run()
    test.check(f'{name}: the same file again brings nothing new', status == 0 and
               (counts.get('durable'), counts.get('duplicate')) == (0, EVENTS), log[-500:])
    test.check(f'{name}: an orderly end leaves nothing to read in the topics', ' 0 more from 0 records' in log, log[-500:])


def wait_for_kafka(test, broker, directory):
    """Without brokers nothing is accepted, and the status says what is waited for."""
    text = Path(directory, 'penstock.yaml').read_text()
    daemon = Daemon(directory, re.sub(r'bootstrap: "[^"]*"', 'bootstrap: "127.0.0.1:9"', text))
    with daemon.start() as process:
        def status():
            done = subprocess.run(['curl', '-s', '--unix-socket', f'{directory}/socket', 'http://x/v1/status'],
                                  stdout=subprocess.PIPE, check=False)
            return json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}
        found = wait_until(lambda: status() if status().get('identities', {}).get('waiting_for', 'connecting') !=
                           'connecting' else None, 'the daemon says why it waits')
        test.equal('without Kafka: it restores', (found['state'], found['identities']['state'],
                   found['identities']['topics']), ('restoring', 'restoring', 'waiting for kafka'))
        test.equal('and takes nothing', found['streams'][0]['received'], 0)
        process.terminate()
        test.equal('it ends when asked to', process.wait(DEADLINE_S), 0)
    status, counts, log = Daemon(directory, text).run()
    test.check('and forgets nothing by that', status == 0 and counts.get('duplicate') == EVENTS, log[-500:])


def main():
    test, seed = Tap(), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    topics = [f'{record}_{identity}{end}' for record, identity in CASES for end in ('', '_dead')]
    with subprocess.Popen([sys.argv[1], *topics], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as broker:
        address = broker.stdout.readline().decode().strip()
        for record, identity in CASES:
            with tempfile.TemporaryDirectory() as directory:
                kill_and_restart(test, address, directory, record, identity, seed)
                if (record, identity) == CASES[0]:
                    wait_for_kafka(test, address, directory)
        broker.stdin.close()
    print(f'1..{test.number}')
    sys.exit(test.failed != 0)


if __name__ == '__main__':
    main()
