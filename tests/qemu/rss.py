#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A virtio card with two queues and RSS, on the first of two NUMA nodes, held by uio_pci_generic.

The far end of its cable is a network interface of this side, with a kernel that leaves UDP checksums to the card: they
arrive unfinished, and only the card's word says that they are good. A part is sent by the event transport: the answers
leave by the card. Both queues must get flows; the tables must lie on the node of the workers, which is the second, the
packets on that of the card.
"""
import json
import re
from collections import Counter

import guest
import afxdp_exact
from appliance import NEAR_IP, PENSTOCK, command, wait_until
from guest import Guest

COUNT, ACKNOWLEDGED = 4000, 500
MAC = '52:54:00:12:34:01'
CARD = '0000:81:00.0'
NUMA = [
    '-object', 'memory-backend-ram,id=m0,size=768M', '-object', 'memory-backend-ram,id=m1,size=768M',
    '-numa', 'node,nodeid=0,cpus=0,memdev=m0', '-numa', 'node,nodeid=1,cpus=1-2,memdev=m1',
    '-device', 'pxb-pcie,id=far,bus_nr=128,bus=pcie.0,numa_node=0',
    '-device', 'pcie-root-port,id=second,bus=far,chassis=1']


def hugepages(path):
    """{node: pages} of each mapping of hugepages."""
    found = []
    for line in path.read_text().splitlines():
        if ' huge ' in line + ' ':
            found.append({int(node): int(pages) for node, pages in re.findall(r' N(\d+)=(\d+)', line)})
    return found


def main(test):
    job = guest.Job(test, COUNT)
    machine = Guest(
        test, 'rss', guest.configuration(f'  - {{name: nic0, type: ethdev, device: "{CARD}", queues: 2}}\n', '[1, 2]'),
        job.files, [*NUMA, '-netdev', 'tap,id=cable,ifname=cable,queues=2,script=no,downscript=no,vhost=off', '-device',
                    f'virtio-net-pci,netdev=cable,mac={MAC},bus=second,mq=on,rss=on,vectors=6,rx_queue_size=1024'],
        [CARD], 'uio_pci_generic', expect=job.says['sent'], pages_per_node=220, memory_mb=1536)
    test.closing.append(machine.close)
    machine.start()
    wait_until(machine.running(lambda: command('ip', 'link', 'show', 'cable', check=False).returncode == 0),
               'QEMU makes the interface')
    command('sysctl', '-qw', 'net.ipv6.conf.cable.disable_ipv6=1')
    command('ip', 'address', 'add', '198.18.0.2/30', 'dev', 'cable')
    command('ip', 'link', 'set', 'cable', 'txqueuelen', 5000, 'up')
    command('ip', 'neighbour', 'add', NEAR_IP, 'lladdr', MAC, 'dev', 'cable', 'nud', 'permanent')
    machine.ready()
    # A part by the event transport, whose answers leave by the card; the sender waits for them.
    parts = {'acknowledged': job.lines[:ACKNOWLEDGED], 'plain': job.lines[ACKNOWLEDGED:]}
    for name, lines in parts.items():
        (test.directory / name).write_bytes(b''.join(line + b'\n' for line in lines))
    send = [PENSTOCK, 'send', '--to', f'{NEAR_IP}:9000', '--rate', 4000, '--json', '--file']
    answered = json.loads(command(*send, test.directory / 'acknowledged', '--ack', '--stream', 'catalog', '--deadline',
                                  60).stdout)
    # Fewer datagrams than the card's ring has room for: nothing is lost however slow the guest is.
    command(*send, test.directory / 'plain', '--per-datagram', 5, '--source-ports', 16)
    out = machine.finish()

    status = json.loads((out / 'status.json').read_text())
    log = (out / 'penstockd.log').read_text()
    job.check(test, status, out, log, machine.status)
    first = afxdp_exact.Expected(parts['acknowledged'], job.rows, job.start)
    test.equal('every event is answered, by the card', {name: answered[name] for name in (
        'events', 'durable', 'duplicate', 'rejected', 'pending')}, {
            'events': ACKNOWLEDGED, 'durable': len(first.enriched), 'duplicate': first.duplicates,
            'rejected': len(first.dead), 'pending': 0})
    packets = {source['name']: source['packets'] for source in status['sources']}
    test.check('both queues had their part', min(packets.values()) > sum(packets.values()) / 10, packets)
    test.equal('by both workers', sorted(s['worker'] for s in status['sources']), [0, 1])
    drops = Counter()
    for worker in status['workers']:
        drops.update(worker['drops'])
    test.equal('no checksum is called wrong', drops['frame_udp_checksum'], 0)
    line = next((line for line in log.splitlines() if 'source nic0:' in line), '')
    test.check('RSS and checksums in hardware are said',
               '2 queues by RSS, UDP checksums verified in hardware' in line, line)
    far = re.findall(r'source nic0: the card is on NUMA node 0, CPU (\d) of its worker on node 1', log)
    test.equal('that the workers are far from the card is said', far, ['1', '2'])
    # DPDK maps its pages one by one, the tables and batches are one mapping each.
    mapped = hugepages(out / 'numa_maps')
    tables = [nodes for nodes in mapped if sum(nodes.values()) >= 8]
    packets = Counter()
    for nodes in mapped:
        if sum(nodes.values()) < 8:
            packets.update(nodes)
    print(f'# hugepages: tables and batches {tables}, DPDK {dict(packets)}')
    test.check('the tables are on the node of the workers',
               tables and all(set(nodes) == {1} for nodes in tables), tables)
    test.check('the packets are on the node of the card', packets[0] * 2 >= 2 * 8191 * 4 / 1024, packets)


if __name__ == '__main__':
    guest.run(main, needs=('ip', 'sysctl', 'unshare'), inside=['unshare', '-Urn'])
