#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Starting, being ready, draining and coming back, as an operator and a service manager see it."""
import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import appliance
from appliance import NEAR, PENSTOCK, PENSTOCKD, command, event_bytes, example, stored, wait_until

EVENTS = 300000  # at most
ONCE = 5000
RATE = 20000


def get(address, path):
    try:
        with urllib.request.urlopen(f'http://{address}{path}', timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def metrics_are_clean(test, address, when):
    code, text = get(address, '/metrics')
    done = command('promtool', 'check', 'metrics', check=False, input=text)
    test.check(f'/metrics is clean {when}', code == 200 and done.returncode == 0 and not done.stderr + done.stdout,
               (code, done.stderr + done.stdout))
    return text


def refused(test, name, text, pattern):
    """Refused with one line that names place and cause, and nothing left."""
    path = test.directory / 'bad.yaml'
    path.write_text(text)
    done = command(PENSTOCKD, '--config', path, check=False)
    said = done.stderr.decode()
    last = said.strip().split('\n')[-1]
    test.check(f'{name}: exit 1 with the reason', done.returncode == 1 and re.search(pattern, last), said[-400:])
    link = json.loads(command('ip', '-j', '-d', 'link', 'show', NEAR).stdout)[0]
    left = [p for p in test.directory.rglob('*') if p.is_socket()]
    test.check(f'{name}: nothing is left', 'xdp' not in link and not left, (link, left))
    return last


def bad_configurations(test):
    good = example('catalog', test.directory)
    at = r'bad\.yaml:(\d+):(\d+): '
    for name, change, pattern in [
            ('an unknown key', ('udp_port: 9000', 'udp_prot: 9000'), at + '.*udp_prot'),
            ('a wrong type', ('udp_port: 9000', 'udp_port: [9000]'), at),
            ('an identity that is no field', ('identity: eventId', 'identity: eventIdd'), at + '.*eventIdd'),
            ('broken YAML', ('streams:', 'streams: {'), at),
            ('an interface that is not there', (f'interface: {NEAR}', 'interface: pst9'), 'pst9'),
            ('a lake that cannot be', (f'directory: {test.directory}/lake', 'directory: /dev/null/lake'), '/dev/null'),
            ('a Kafka property that is none', ('linger.ms: 20', 'lingering.ms: 20'), 'lingering.ms')]:
        if change[0] not in good:
            raise appliance.Failed(f'the example has no "{change[0]}"')
        text = good.replace(*change)
        last = refused(test, name, text, pattern)
        place = re.search(at, last)
        if place:
            done = command(PENSTOCK, 'check', test.directory / 'bad.yaml', check=False)
            test.check(f'{name}: penstock check says the same', done.returncode == 1 and
                       last[place.start():] in (done.stderr + done.stdout).decode(), (last, done.stderr))
            line = text.split('\n')[int(place[1]) - 1]
            test.check(f'{name}: the place is right', name == 'broken YAML' or change[1].split(':')[0] in line, line)


def readiness(test, daemon, snapshot):
    """Before and after the dimension that is required."""
    address = daemon.status()['control']['http']
    test.equal('alive before it is ready', get(address, '/health')[0], 200)
    code, why = get(address, '/ready')
    test.check('not ready without the dimension, and says so', code == 503 and b'products' in why, (code, why))
    test.check('penstock_ready 0', b'penstock_ready 0' in metrics_are_clean(test, address, 'before'))
    test.equal('control is not for TCP', get(address, '/v1/status')[0], 404)
    test.equal('its state', daemon.status()['state'], 'waiting')
    daemon.push(snapshot)
    daemon.wait_log('ready$')
    wait_until(lambda: get(address, '/ready')[0] == 200, 'it is ready')
    test.check('penstock_ready 1', b'penstock_ready 1' in metrics_are_clean(test, address, 'after'))
    return address


def command_line(test, daemon):
    for verb in (['status'], ['stats'], ['dim', 'list']):
        done = daemon.cli(*verb, check=False)
        test.check(f'penstock {" ".join(verb)}', done.returncode == 0 and done.stdout and not done.stderr,
                   (done.returncode, done.stderr))
    dump = test.directory / 'dump'
    daemon.cli('dump', '-o', dump)
    text = command(PENSTOCK, 'dump', '--read', dump).stdout
    test.check('penstock dump is readable', b'catalog' in text, text[:200])


def from_file(events, directory):
    """The catalog example, fed from a file."""
    return example('catalog', directory, (r'hugepages: auto', 'hugepages: off'), (
        r'  - name: nic0\n(    .*\n)+', f'  - {{name: replay, type: file, path: "{events}", stream: catalog}}\n'))


def second_daemon(test, daemon, text):
    path = test.directory / 'second.yaml'
    for name, other, pattern in [
            ('the same state directory', text.replace('control.sock', 'second.sock'), r'state.*in use'),
            ('the same socket', from_file(test.directory / 'few', test.directory).replace('/state', '/state2'),
             r'control\.sock')]:
        path.write_text(other)
        done = command(PENSTOCKD, '--config', path, check=False)
        test.check(f'a second daemon on {name} is refused', done.returncode == 1 and
                   re.search(pattern, done.stderr.decode()), done.stderr.decode()[-300:])
        test.equal('the first goes on', daemon.status()['state'], 'ready')


def last_words(daemon):
    line = daemon.wait_log(r'conserved: (yes|no) (.*)')
    counts = {name: int(value) for name, value in re.findall(r'(\w+)=(\d+)', line[2])}
    return line[1] == 'yes', counts


def drained(test, name, daemon, status):
    """It ended in order, and all that it received is in the files."""
    conserved, counts = last_words(daemon)
    raw = len(stored(test.directory, 'catalog', 'raw'))
    dead = len(stored(test.directory, 'catalog', 'dead_letter'))
    test.equal(f'{name}: exit status', status, 0)
    test.check(f'{name}: conserved', conserved and counts['shed'] == 0 and counts['in_flight'] == 0, counts)
    test.equal(f'{name}: everything is stored', (raw, dead), (counts['durable'], counts['dead_lettered']))
    test.check(f'{name}: no unfinished file', not list((test.directory / 'lake').rglob('.*')))
    return counts


def once(test, events, snapshot, how):
    """--once: waits for the dimension, then reads to the end and exits."""
    directory = test.directory / how
    directory.mkdir()
    text = from_file(events if how == 'file' else '-', directory)
    daemon = test.daemon(text, name=f'once-{how}', memory_mb=0, options=['--once'])
    with open(events, 'rb') as stdin:
        daemon.start('waiting for dimension', stdin=subprocess.DEVNULL if how == 'file' else stdin)
    status = daemon.status()
    test.equal(f'--once from {how}: nothing is read without the dimension',
               (status['state'], status['streams'][0]['received']), ('waiting', 0))
    daemon.push(snapshot)
    test.equal(f'--once from {how}: exit status', daemon.wait(), 0)
    conserved, counts = last_words(daemon)
    test.check(f'--once from {how}: conserved', conserved)
    raw = stored(directory, 'catalog', 'raw')
    test.equal(f'--once from {how}: all is received', counts['received'], ONCE)
    test.equal(f'--once from {how}: all is stored', sorted(raw),
               sorted(map(event_bytes, events.read_bytes().split(b'\n')[:-1])))
    test.check(f'--once from {how}: joined', all(b'"product_details"' in line or b'"productId"' not in line for line in
                                                 stored(directory, 'catalog', 'enriched')))


def main(test):
    few, many, rows = test.directory / 'few', test.directory / 'many', test.directory / 'products.jsonl'
    command(PENSTOCK, 'gen', 'events', '--count', ONCE, '--seed', 11, '--products', 2000, '--out', few)
    command(PENSTOCK, 'gen', 'events', '--count', EVENTS, '--seed', 12, '--malformed', '1%', '--out', many)
    lines = many.read_bytes().split(b'\n')[:-1]
    command(PENSTOCK, 'gen', 'dimension', '--name', 'products', '--rows', 2000, '--out', rows)
    snapshot = test.build(rows, 'product_id', 'products', '--version', 'first')

    network = test.network(queues=2)
    bad_configurations(test)

    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(test.directory / 'notify'))
    notify.settimeout(60)
    text = example('catalog', test.directory)
    daemon = test.daemon(text).start(env={**os.environ, 'NOTIFY_SOCKET': str(test.directory / 'notify')})
    test.check('the service manager hears that it waits', b'products' in notify.recv(4096))
    readiness(test, daemon, snapshot)
    test.check('and that it is ready', b'READY=1' in notify.recv(4096))
    command_line(test, daemon)
    second_daemon(test, daemon, text)

    load = appliance.Load(network, appliance.Feeder(daemon), lines, RATE)
    wait_until(lambda: load.error or daemon.stream()['durable'] >= 5000, 'events flow')
    under_load = load.is_alive()
    status = daemon.end(signal.SIGTERM)
    load.kill()
    counts = drained(test, 'SIGTERM under load', daemon, status)
    test.check('SIGTERM under load: it was', under_load and counts['received'] >= 5000, counts)
    test.check('the service manager hears that it stops', b'STOPPING=1' in notify.recv(4096))
    notify.close()

    # It comes back with the dimension, and goes by the other two ways.
    for how in ('penstock drain', 'SIGINT'):
        command('rm', '-r', test.directory / 'lake')
        daemon.start('ready$')
        loaded = {d['name']: d for d in daemon.status()['dimensions']}
        test.equal(f'{how}: back with the dimension', (loaded['products'].get('version'), loaded['products'].get('rows')),
                   ('first', 2000))
        appliance.Feeder(daemon).send(network, lines[:3000])
        if how == 'SIGINT':
            status = daemon.end(signal.SIGINT)
        else:
            test.equal('penstock drain: exit status', daemon.cli('drain', check=False).returncode, 0)
            status = daemon.wait()
        counts = drained(test, how, daemon, status)
        test.equal(f'{how}: all that was sent', counts['received'], 3000)

    for how in ('file', 'stdin'):
        once(test, few, snapshot, how)


if __name__ == '__main__':
    appliance.run(main, needs=('ethtool', 'zstd', 'promtool'))
