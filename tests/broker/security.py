#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""SASL_SSL with SCRAM against a real Kafka broker: what works, and for each thing that can be wrong a state of its own in
`penstock status`, nothing lost for it, and recovery without a restart of the daemon once it is mended. Secrets come from
files and the environment and are shown nowhere. Needs no root. Prints TAP.

Usage: security.py KAFKA_ADMIN
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kafka
from appliance import DEADLINE_S, PENSTOCK, PENSTOCKD, Failed, Tap, UnixConnection, command, same, wait_until

COUNT = 500
GOOD, WRONG = 'correct horse battery', 'wrong-horse-secret'
CONFIG = """
control: {{state: {directory}/state, socket: {directory}/socket, drain: 600s}}
dataplane: {{lcores: ["1@{cpu}"], hugepages: off, memory_mb: 64}}
sources: [{{name: input, type: file, path: "{directory}/events", stream: s}}]
sinks:
  kafka:
    bootstrap: "{brokers}"
    properties:
      security.protocol: SASL_SSL
      sasl.mechanism: SCRAM-SHA-512
      sasl.username: penstock
      sasl.password: {password}
      ssl.ca.location: {ca}
streams:
  - name: s
    udp_port: 9000
    identity: id
    fields: {{id: {{type: string, required: true}}}}
    dedup: {{window: 10m, budget_mb: 1}}
    output: {{raw: {topic}-raw, enriched: {topic}-enriched, dead_letter: {topic}-dead}}
"""


class Run:
    """A daemon that reads a file and ends when everything is delivered. Its topics are its own."""

    def __init__(self, directory, broker, name, ca, password, environment=None):
        self.directory, self.broker, self.name = directory / name, broker, name
        self.directory.mkdir()
        # One line in a hundred is a dead letter.
        self.lines = [b'{"id":"%s-%d"}' % (name.encode(), i) if i % 100 else b'broken %s-%d' % (name.encode(), i)
                      for i in range(COUNT)]
        (self.directory / 'events').write_bytes(b''.join(line + b'\n' for line in self.lines))
        for output in ('raw', 'enriched', 'dead'):
            broker.create(f'{name}-{output}', 2)
        config = self.directory / 'penstock.yaml'
        config.write_text(CONFIG.format(directory=self.directory, cpu=max(os.sched_getaffinity(0)),
                                        topic=name, brokers=broker.secure, password=password, ca=ca))
        self.environment = dict(os.environ, **(environment or {}))
        self.check = command(PENSTOCK, 'check', config, env=self.environment)
        self.log_path = directory / f'{name}.log'
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', str(PENSTOCKD), '--config', str(config),
                                             '--once'], stderr=log, env=self.environment)

    def status(self):
        if self.process.poll() is not None:
            raise Failed(f'{self.name}: ended with status {self.process.returncode}: {self.log()[-600:]}')
        connection = UnixConnection(self.directory / 'socket')
        try:
            connection.request('GET', '/v1/status')
            return json.loads(connection.getresponse().read())
        except OSError:  # not there yet
            return {'sinks': [], 'streams': [], 'state': ''}
        finally:
            connection.close()

    def log(self):
        return self.log_path.read_text(errors='replace')

    def wait_state(self, state, cause):
        """Kafka's and the stream's part of the status, once it is in that state. Before it has ever reached
        Kafka the daemon accepts nothing: it first looks what the topics hold."""
        def look():
            status = self.status()
            sink = next((s for s in status['sinks'] if s['type'] == 'kafka'), {})
            there = sink.get('state') == state and re.search(cause, sink.get('last_error', ''))
            return (sink, status['streams'][0]) if there else None
        try:
            return wait_until(look, f'{self.name}: state {state}, {cause}', seconds=60)
        except Failed as error:
            raise Failed(f'{error}: {json.dumps(self.status()["sinks"])}') from error

    def shown(self):
        """All that the daemon says of itself."""
        parts = [self.log().encode(), self.check.stdout, self.check.stderr]
        for words in (('status',), ('status', '--json'), ('stats',),
                      ('dump', '-o', self.directory / 'dump')):
            parts.append(command(PENSTOCK, *words, '--socket', self.directory / 'socket').stdout)
        parts.append((self.directory / 'dump').read_bytes())
        return b'\n'.join(parts)

    def finish(self, test):
        """All of it delivered, once."""
        try:
            status = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = 'killed: it did not end'
        counts = {name: int(n) for name, n in re.findall(r'(\w+)=(\d+)', self.log().split('conserved')[-1])}
        test.check(f'{self.name}: ends in order', status == 0 and counts.get('durable') == COUNT - COUNT // 100 and
                   counts['dead_lettered'] == COUNT // 100 and counts['shed'] == 0, (status, counts, self.log()[-500:]))
        good = [line for line in self.lines if line.startswith(b'{')]
        same(test, f'{self.name}: every event is in its topic, once',
             [r.value for r in kafka.consume(self.broker.plain, f'{self.name}-raw')], good)
        test.equal(f'{self.name}: enriched ones too', len(kafka.consume(self.broker.plain, f'{self.name}-enriched')),
                   len(good))
        same(test, f'{self.name}: and nothing else is a dead letter',
             [r.value for r in kafka.consume(self.broker.plain, f'{self.name}-dead')],
             [line for line in self.lines if line.startswith(b'broken')])


def check_trouble(test, run, state, cause):
    """The state is told, with the cause, and nothing has been decided about any event."""
    begin = time.monotonic()
    sink, stream = run.wait_state(state, cause)
    print(f'# {state} after {time.monotonic() - begin:.1f} s: {sink["last_error"]}')
    test.equal(f'{state}, {cause}: all of it waits',
               [stream[n] for n in ('durable', 'dead_lettered', 'shed', 'conserved')], [0, 0, 0, True])
    text = command(PENSTOCK, 'status', '--socket', run.directory / 'socket').stdout.decode()
    test.check(f'{state}: penstock status says it', f'state={state}' in text, text)


def main(directory):
    test = Tap()
    ca, other = kafka.Authority(directory / 'ca'), kafka.Authority(directory / 'other')
    begin = time.monotonic()
    with kafka.Broker(directory, sys.argv[1], certificate=ca.certificate(expired=True),
                      users={'penstock': GOOD}) as broker:
        # One thing after the other is wrong, and the same daemon sees it through.
        run = Run(directory, broker, 'trouble', ca.path, '"${KAFKA_PASSWORD}"', {'KAFKA_PASSWORD': WRONG})
        check_trouble(test, run, 'tls_failed', 'certificate has expired')
        broker.kill()
        check_trouble(test, run, 'unreachable', 'refused')
        broker.set_certificate(other.certificate())
        broker.start()
        check_trouble(test, run, 'tls_failed', 'self-signed certificate')
        broker.set_certificate(ca.certificate())
        broker.restart()
        check_trouble(test, run, 'authentication_failed', 'password is wrong.*SCRAM-SHA-512')
        shown = run.shown()
        test.check('the password is shown nowhere', WRONG.encode() not in shown and b'authentication_failed' in shown)
        broker.set_password('penstock', WRONG)
        mended = time.monotonic()
        run.finish(test)
        print(f'# delivered {time.monotonic() - mended:.1f} s after the last cause was mended')

        (directory / 'secret').write_text(WRONG + '\n')
        Run(directory, broker, 'file', ca.path, '{file: ../secret}').finish(test)
    print(f'# {time.monotonic() - begin:.0f} s')
    print(f'1..{test.number}')
    return test.failed != 0


if __name__ == '__main__':
    kafka.need()
    with tempfile.TemporaryDirectory(prefix='pst-broker-') as path:
        sys.exit(main(Path(path)))
