#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A real Kafka broker under a daemon that receives from a port: killed in the middle, topics that are missing, deleted or
take small records only. What is counted as durable is there, once, and a topic that stands still holds up no other.

Usage: outage.py KAFKA_ADMIN
"""
import json
import os
import sys
import time

import appliance
import kafka
from appliance import NEAR, PENSTOCK, Failed, command, wait_until

PARTITIONS = 4
CONFIG = """
control:
  state: {directory}/state
  socket: {directory}/socket
  http: 127.0.0.1:0
dataplane: {{lcores: ["1@{cpu}"], memory_mb: 128}}
sources: [{{name: nic0, type: ethdev, device: net_af_xdp, interface: {near}, queues: 2}}]
sinks: {{kafka: {{bootstrap: "{brokers}", properties: {{topic.metadata.propagation.max.ms: 1000}}}}}}
streams:
{streams}
"""
STREAM = """
  - name: {name}
    udp_port: {port}
    identity: id
    fields: {{id: {{type: string, required: true}}, pad: {{type: string}}}}
    dedup: {{window: 10m, budget_mb: 4}}
    output: {{raw: {name}-raw, enriched: {name}-enriched, dead_letter: {name}-dead}}
"""
STREAMS = {'one': 9000, 'two': 9001}


def events(name, count, pad=150, start=0):
    return [b'{"id":"%s-%d","pad":"%s"}' % (name.encode(), start + i, b'x' * pad) for i in range(count)]


class Appliance:
    def __init__(self, test, broker):
        self.network, self.broker, self.sent = test.network(queues=2), broker, 0
        text = CONFIG.format(directory=test.directory, cpu=max(os.sched_getaffinity(0)), near=NEAR,
                             brokers=broker.plain,
                             streams=''.join(STREAM.format(name=n, port=p) for n, p in STREAMS.items()))
        self.daemon = test.daemon(text).start()

    def stream(self, name):
        return next(s for s in self.daemon.status()['streams'] if s['name'] == name)

    def sink(self):
        return next(s for s in self.daemon.status()['sinks'] if s['type'] == 'kafka')

    def topic(self, name):
        return next(t for t in self.sink()['topics'] if t['topic'] == name)

    def send(self, name, lines, rate=20000):
        """No faster than it is received; no answer is waited for."""
        sender = appliance.Sender(self.network, port=STREAMS[name], rate=rate)
        before = self.stream(name)['received']
        for at in range(0, len(lines), 500):
            sender.send(lines[at:at + 500])
            wait_until(lambda a=at: self.stream(name)['received'] >= before + a - 2000, 'events are received')
        sender.close()
        wait_until(lambda: self.stream(name)['received'] == before + len(lines), f'{name}: all is received')

    def settle(self, name):
        """Until nothing of the stream is in flight."""
        try:
            return wait_until(lambda: (lambda s: s if s['in_flight'] == 0 else None)(self.stream(name)),
                              f'{name}: all is delivered')
        except Failed as error:
            raise Failed(f'{error}: {json.dumps(self.daemon.status()["sinks"])}') from error


def exactly(test, name, broker, topic, ledger, lines):
    """What is in a topic is what was counted, each once."""
    found = [r.value if topic.endswith('-raw') else r.value[:r.value.rindex(b',"enrichments":')] + b'}'
             for r in kafka.consume(broker.plain, topic)]
    test.check(f'{name}: {topic} has what is durable, each once',
               len(found) == len(set(found)) == ledger['durable'] and set(found) <= set(lines),
               (len(found), len(set(found)), ledger))


def all_or_shed(test, name, ledger, sent, dead=0):
    """Plain datagrams may be shed while nothing can be delivered; all others are delivered."""
    test.check(f'{name}: everything is delivered, or shed by name',
               ledger['durable'] + ledger['shed'] == sent - dead and ledger['dead_lettered'] == dead and
               ledger['shed'] == ledger['drops'].get('shed_sink_full', 0) and ledger['conserved'], ledger)


def killed(test, a, broker):
    """kill -9 under load, twice."""
    lines = events('one', 20000)
    for at in range(0, 20000, 10000):
        load = lines[at:at + 10000]
        a.send('one', load[:5000])
        broker.kill()  # with what was not confirmed yet under way
        a.send('one', load[5000:])
        wait_until(lambda: a.sink()['state'] == 'unreachable', 'the state says so')
        begin = time.monotonic()
        broker.start()
        started = time.monotonic()
        a.settle('one')
        print(f'# the broker took {started - begin:.1f} s to start again, the rest {time.monotonic() - started:.1f} s')
    ledger = a.stream('one')
    all_or_shed(test, 'killed', ledger, 20000)
    test.check('killed: not all was shed', ledger['durable'] > 5000, ledger)
    for output in ('raw', 'enriched'):
        exactly(test, 'killed', broker, f'one-{output}', ledger, lines)
    return lines


def missing(test, a, broker, lines):
    """The second stream's raw topic is not there; the first stream goes on, beyond all that could be held of the other."""
    other = events('two', 60000, pad=20)
    a.send('two', other, rate=60000)
    wait_until(lambda: a.topic('two-raw')['state'] == 'failing', 'the topic is told to be missing')
    sink = a.sink()
    test.check('missing: last_error names the topic', 'two-raw' in sink['last_error'] and sink['state'] == 'failing',
               sink['last_error'])
    held = a.stream('two')
    test.equal('missing: its events are held or shed', (held['durable'], held['in_flight'] + held['shed']), (0, 60000))
    wait_until(lambda: a.topic('two-enriched')['waiting'] == 0, 'its other topic has what is for it')
    more, before = events('one', 20000, start=20000), a.stream('one')
    a.send('one', more)
    ledger = a.settle('one')
    all_or_shed(test, 'missing: the other stream', ledger, 40000)
    test.check('missing: the other stream goes on', ledger['durable'] - before['durable'] > 5000, (before, ledger))
    broker.create('two-raw', PARTITIONS)
    made = time.monotonic()
    ledger = a.settle('two')
    print(f'# delivered {time.monotonic() - made:.1f} s after the topic was made')
    all_or_shed(test, 'missing', ledger, 60000)
    exactly(test, 'missing', broker, 'two-raw', ledger, other)
    exactly(test, 'missing', broker, 'two-enriched', ledger, other)
    return lines + more


def deleted(test, a, broker, lines):
    """A topic is deleted and made again, with more partitions: what comes afterwards is in it."""
    broker.delete('one-raw')
    shed = a.stream('one')['shed']
    more = events('one', 5000, start=40000)
    a.send('one', more)
    wait_until(lambda: a.topic('one-raw')['waiting'] > 0, 'it waits for the topic')
    broker.create('one-raw', 2 * PARTITIONS)
    ledger = a.settle('one')
    all_or_shed(test, 'deleted', ledger, 45000)
    shed = ledger['shed'] - shed
    found = [r.value for r in kafka.consume(broker.plain, 'one-raw')]
    test.check('deleted: the new topic has all that came after, each once',
               set(found) <= set(more) and len(found) == len(set(found)) == len(more) - shed,
               (len(found), len(set(found)), shed))
    exactly(test, 'deleted', broker, 'one-enriched', ledger, lines + more)
    return lines + more


def small(test, a, broker, lines):
    """max.message.bytes below some of the records: those become dead letters, their neighbours do not."""
    broker.alter('one-enriched', **{'max.message.bytes': 1200})
    more = [line for i in range(500) for line in events('one', 1, pad=1300 if i % 10 == 0 else 100, start=50000 + i)]
    a.send('one', more)
    ledger = a.settle('one')
    all_or_shed(test, 'small', ledger, 45500, dead=50)
    dead = kafka.consume(broker.plain, 'one-dead')
    test.check('small: with its reason', sorted(r.value for r in dead) == sorted(more[::10]) and
               {r.headers['penstock.error.reason'] for r in dead} == {'record_too_large'}, dead and dead[0].headers)
    exactly(test, 'small', broker, 'one-enriched', ledger, lines + more)


def main(test):
    begin = time.monotonic()
    with kafka.Broker(test.directory, sys.argv[1]) as broker:
        for topic in ('one-raw', 'one-enriched', 'one-dead', 'two-enriched', 'two-dead'):
            broker.create(topic, PARTITIONS)
        a = Appliance(test, broker)
        lines = killed(test, a, broker)
        lines = missing(test, a, broker, lines)
        lines = deleted(test, a, broker, lines)
        small(test, a, broker, lines)
        test.equal('ends in order', a.daemon.end(), 0)
    print(f'# {time.monotonic() - begin:.0f} s')


if __name__ == '__main__':
    kafka.need()  # before there is a network without a way out
    appliance.run(main, needs=('ethtool', 'kcat'))
