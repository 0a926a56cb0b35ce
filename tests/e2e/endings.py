#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How a daemon that reads a file ends: asked to while it waits, at an input that breaks, behind a line too long for
Kafka. Needs no root and no network. Prints TAP."""
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from appliance import DEADLINE_S, PENSTOCK, PENSTOCKD, Tap, command

DRAIN_S = 3600  # far beyond the deadline: who waits for it fails

CONFIG = """
control: {{state: {directory}/state, socket: {directory}/socket, drain: {drain}s}}
dataplane: {{lcores: [{cpu}], hugepages: off, memory_mb: 64}}
sources: [{source}]
sinks: {{{sink}}}
dimensions: {{products: {{required: {required}}}}}
streams:
  - name: s
    udp_port: 9000
    fields: {{p: {{type: string}}}}
    dedup: {{mode: off}}
    output: {{raw: raw, enriched: enriched, dead_letter: dead}}
"""
FILE = '{{name: input, type: file, path: "{path}", stream: s}}'
EMBEDDED = 'kafka: {bootstrap: embedded}'


class Ended:
    """A daemon, from its start to its end."""

    def __init__(self, path, source=None, sink=EMBEDDED, required='false', terminate_at=None):
        with tempfile.TemporaryDirectory() as directory:
            config = Path(directory, 'penstock.yaml')
            cpu = f'"1@{max(os.sched_getaffinity(0))}"'
            config.write_text(CONFIG.format(directory=directory, drain=DRAIN_S, cpu=cpu, sink=sink,
                                            source=source or FILE.format(path=path),
                                            required=required))
            self.check = command(PENSTOCK, 'check', config, check=False)
            with subprocess.Popen([PENSTOCKD, '--config', config, '--once'], stderr=subprocess.PIPE, text=True) as daemon:
                self.log = ''
                for line in daemon.stderr if terminate_at else ():
                    self.log += line
                    if terminate_at in line:
                        daemon.send_signal(signal.SIGTERM)
                        break
                try:
                    self.log += daemon.communicate(timeout=DEADLINE_S)[1]
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    self.log += 'killed: it did not end'
                self.status = daemon.returncode

    def counts(self):
        return {name: int(n) for name, n in re.findall(r'(\w+)=(\d+)', self.log)}


def main():
    test = Tap()
    with tempfile.NamedTemporaryFile() as events:
        events.write(b'{"p":"1"}\n' + b'x' * 1500000 + b'\n{"p":"2"}\n')
        events.flush()

        ended = Ended(events.name, required='true', terminate_at='waiting for dimension')
        test.check('SIGTERM while a dimension is missing: it ends at once',
                   ended.status == 0 and ended.counts().get('received') == 0, ended.log[-600:])

        ended = Ended(events.name)
        test.check('a line too long for Kafka is a dead letter like others',
                   ended.status == 0 and ended.counts().get('durable') == 2 and ended.counts()['dead_lettered'] == 1,
                   ended.log[-600:])

        ended = Ended('/proc/self/mem')
        test.check('an input that breaks is a failure with the reason',
                   ended.status == 1 and 'source input: read: Input/output error' in ended.log.split('\n')[-2],
                   ended.log[-600:])

        ended = Ended('', source='{name: nic0, type: ethdev, device: net_null0}')
        test.check('--once with a port, which never ends, is refused',
                   ended.status == 1 and 'nic0' in ended.log.split('\n')[-2], ended.log[-600:])

        ended = Ended(events.name, sink='kafka: {bootstrap: embedded, properties: {enable.idempotence: "false"}}')
        test.check('penstock check refuses a property that the daemon refuses',
                   ended.status == 1 and ended.check.returncode == 1 and
                   b'enable.idempotence' in ended.check.stderr, (ended.check, ended.log[-600:]))
    print(f'1..{test.number}')
    return test.failed != 0


if __name__ == '__main__':
    sys.exit(main())
