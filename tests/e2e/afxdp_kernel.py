#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The port stays the kernel's for all that is not ours, while events flow; and a daemon that is killed leaves nothing
behind that would stop the next one."""
import hashlib
import json
import signal
import socket
import threading

import appliance
from appliance import NEAR, NEAR_IP, PENSTOCK, command, event_bytes, example, stored, wait_until

EVENTS = 300000  # at most
RATE = 20000
TRANSFER = 4 << 20
DATAGRAMS = 200
SO_RCVBUFFORCE = 33  # as in linux/socket.h; Python has no name for it
FRAGMENTED = 4000  # bytes of a datagram that is larger than the MTU

ECHO = f'''
import hashlib, os, socket, sys
with socket.create_connection(({NEAR_IP!r}, int(sys.argv[1])), 60) as s:
    data = os.urandom({TRANSFER})
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    assert s.makefile('rb').read() == hashlib.sha256(data).hexdigest().encode()
'''
DATAGRAM = f'''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(int(sys.argv[2])):
    s.sendto(b'%08d' % i + b'x' * int(sys.argv[3]), ({NEAR_IP!r}, int(sys.argv[1])))
'''


def tcp(test, network):
    """A connection from the far end, with a good deal in one direction and an answer in the other."""
    with socket.create_server((NEAR_IP, 0)) as server:
        server.settimeout(60)

        def serve():
            with server.accept()[0] as connection:
                connection.settimeout(60)
                digest = hashlib.sha256()
                while data := connection.recv(65536):
                    digest.update(data)
                connection.sendall(digest.hexdigest().encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done = network.far('python3', '-c', ECHO, server.getsockname()[1], check=False)
        thread.join()
    test.check('a TCP connection carries its bytes', done.returncode == 0, done.stderr.decode()[-300:])


def datagrams(network, port, count, size):
    """Sends datagrams to a kernel socket at the near end; returns how many arrived whole and in order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        receiver.bind((NEAR_IP, port))
        receiver.settimeout(30)
        network.far('python3', '-c', DATAGRAM, receiver.getsockname()[1], count, size)
        n = 0
        try:
            while n < count and receiver.recv(65536) == b'%08d' % n + b'x' * size:
                n += 1
        except TimeoutError:
            pass
        return n


def has_program():
    return 'xdp' in json.loads(command('ip', '-j', '-d', 'link', 'show', NEAR).stdout)[0]


def main(test):
    events = test.directory / 'events'
    command(PENSTOCK, 'gen', 'events', '--count', EVENTS, '--seed', 7, '--out', events)
    lines = events.read_bytes().split(b'\n')[:-1]
    rows = test.directory / 'products.csv'
    command(PENSTOCK, 'gen', 'dimension', '--name', 'products', '--rows', 1000, '--out', rows)
    snapshot = test.build(rows, 'product_id', 'products', '--version', 'kept')

    network = test.network(queues=2)
    text = example('catalog', test.directory)
    daemon = test.daemon(text).start()
    daemon.push(snapshot)
    daemon.wait_log('ready$')
    test.check('an XDP program is attached', has_program())

    def steer():
        return daemon.status()['sources'][0]['steer']

    load = appliance.Load(network, appliance.Feeder(daemon), lines, RATE)

    def flows(count=2000):
        begin = daemon.stream()['received']
        wait_until(lambda: load.error or daemon.stream()['received'] >= begin + count, f'{count} more events')

    flows()
    before = steer()
    test.check('ping is answered', network.reaches(NEAR_IP, 10))
    tcp(test, network)
    flows()
    test.equal('UDP to another port reaches its socket', datagrams(network, 0, DATAGRAMS, 100), DATAGRAMS)
    middle = steer()
    test.equal('fragments of our port are the kernel\'s', datagrams(network, 9000, 20, FRAGMENTED), 20)
    flows()
    after = steer()
    test.check('events flowed all the time', load.is_alive() and before['redirected'] < middle['redirected'] <
               after['redirected'], (before, middle, after))
    test.check('TCP and ping are counted', middle['not_udp'] >= before['not_udp'] + 10 + TRANSFER // 65536,
               (before, middle))
    test.check('other ports are counted', middle['other_port'] == before['other_port'] + DATAGRAMS, (before, middle))
    test.check('fragments are counted', after['fragment'] >= middle['fragment'] + 20 * 2, (middle, after))
    sent = load.finish()
    ledger = daemon.settle(sent)
    test.equal('no event was lost to it', (ledger['received'], ledger['durable'], ledger['conserved']),
               (sent, sent, True))

    # Killed in the middle of its work.
    load = appliance.Load(network, appliance.Feeder(daemon, sent), lines[sent:], RATE)
    flows()
    test.equal('killed', daemon.end(signal.SIGKILL), -signal.SIGKILL)
    load.kill()
    wait_until(lambda: not has_program(), 'the XDP program goes with the process')
    test.check('ping is answered without a daemon', network.reaches(NEAR_IP))
    daemon.start('ready$')
    test.check('it starts again at once, with its dimension',
               daemon.status()['dimensions'][0]['version'] == 'kept')
    more = lines[-5000:]
    ledger = appliance.Feeder(daemon).send(network, more)
    test.equal('and works', (ledger['received'], ledger['durable'], ledger['shed']), (len(more), len(more), 0))
    test.check('ping is answered again', network.reaches(NEAR_IP))
    test.equal('ends in order', daemon.end(), 0)
    test.check('no XDP program is left', not has_program())
    test.check('nor a socket', not daemon.socket.exists())
    raw = set(stored(test.directory, 'catalog', 'raw'))
    test.check('what it stored after the kill is there', raw.issuperset(map(event_bytes, more)))
    # Frames that were complete before the kill, and nothing else: every line is an event that was sent.
    test.check('what it stored before is readable', raw.issubset(map(event_bytes, lines)) and len(raw) >= sent)


if __name__ == '__main__':
    appliance.run(main)
