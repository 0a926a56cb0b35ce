#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Four kinds of network cards in one emulated machine, behind an emulated IOMMU, held by vfio-pci.

One daemon with two workers receives the main job's events on an e1000, an e1000e, a vmxnet3 and a virtio card at the
same time; frames that are not ours or damaged are among them. Every counter is what the generator says, and every stored
byte is what Python computes from the input. Before, the daemon refuses cards that it cannot have, with the reason.
"""
import json
import struct
from collections import Counter

import guest
from guest import Guest, Wire

COUNT = 4000
CARDS = {  # the card's slot is its place here, from 4 on
    'e1000': 'e1000',
    'e1000e': 'e1000e',
    'vmxnet3': 'vmxnet3',
    'virtio': 'virtio-net-pci,iommu_platform=on,disable-legacy=on,rx_queue_size=1024',
}
REFUSED = {  # before vfio-pci has them
    'there is no PCI device 0000:55:00.0': '55:00.0',
    'no driver holds it; dpdk-devbind.py -b vfio-pci 0000:00:04.0': '0000:00:04.0',
    "the kernel's driver virtio-pci holds it": '0000:00:07.0',
}


def mac(number):
    return bytes((0x52, 0x54, 0, 0x12, 0x34, number))


def to_card(frame, number):
    return mac(number) + frame[6:]


def tagged(frame, vlan):
    return frame[:12] + struct.pack('>HH', 0x8100, vlan) + frame[12:]


def damaged(frame):
    """A byte of its payload is another: the UDP checksum is wrong."""
    return frame[:60] + bytes((frame[60] ^ 1,)) + frame[61:]


def main(test):
    job = guest.Job(test, COUNT)
    addresses = [f'0000:00:{4 + n:02x}.0' for n in range(len(CARDS))]
    wires = [Wire(name, test.directory) for name in CARDS]
    devices = ['-device', 'intel-iommu']
    sources = ''
    for n, (name, device) in enumerate(CARDS.items()):
        text = ':'.join(f'{byte:02x}' for byte in mac(n))
        devices += ['-netdev', wires[n].option, '-device', f'{device},netdev={name},mac={text},addr={4 + n:#x}']
        # DPDK takes an address with or without the domain.
        sources += f'  - {{name: {name}, type: ethdev, device: "{addresses[n][5 * (n % 2):]}"}}\n'
    for n, address in enumerate(REFUSED.values()):
        job.files[f'/refused-{n}.yaml'] = guest.configuration(
            f'  - {{name: nic0, type: ethdev, device: "{address}"}}\n', '[1, 2]')
    machine = Guest(test, 'nics', guest.configuration(sources, '[1, 2]'), job.files, devices, addresses, 'vfio-pci',
                    expect=job.says['sent'], pages_per_node=300, before=''.join(
                        f'penstockd --config /refused-{n}.yaml 2> /appliance/refused-{n}.log\n'
                        f'echo "exit $?" >> /appliance/refused-{n}.log\n' for n in range(len(REFUSED))))
    test.closing += [machine.close, *(wire.close for wire in wires)]
    machine.start().ready()

    frames, sent = job.frames(), Counter()
    for n, wire in enumerate(wires):
        mine = [to_card(frame, n) for frame in frames[n::len(wires)]]
        # Tagged frames are as long as they come: their padding makes them so.
        mine[0::5] = [tagged(frame.ljust(1514, b'\0'), 7) for frame in mine[0::5]]
        sent[wire.name] = len(mine) + 2
        # Not of ours are: frames to another card, damaged frames, and what is no UDP.
        mine[1:1] = [to_card(frames[0], 99), damaged(mine[0]), b'\xff' * 6 + mine[0][6:12] + b'\x08\x06' + bytes(46)]
        wire.connect()
        wire.send(mine)
    out = machine.finish()

    status = json.loads((out / 'status.json').read_text())
    log = (out / 'penstockd.log').read_text()
    job.check(test, status, out, log, machine.status)
    test.equal('packets of each card', {s['name'].split('/')[0]: s['packets'] for s in status['sources']}, sent)
    test.equal('nothing missed', [(s['missed'], s['errors']) for s in status['sources']], [(0, 0)] * len(CARDS))
    test.equal('both workers had two cards', sorted(s['worker'] for s in status['sources']), [0, 0, 1, 1])
    drops = Counter()
    for worker in status['workers']:
        drops.update(worker['drops'])
    test.equal('frames that are not ours', drops, {'frame_udp_checksum': len(CARDS), 'frame_not_ip': len(CARDS)})
    for n, reason in enumerate(REFUSED):
        text = (out / f'refused-{n}.log').read_text()
        test.check(f'refused: {reason}', reason in text and text.endswith('exit 1\n'), text)
    for name, driver in {'e1000': 'net_e1000_em', 'e1000e': 'net_e1000_em', 'vmxnet3': 'net_vmxnet3',
                         'virtio': 'net_virtio'}.items():
        line = next((line for line in log.splitlines() if f'source {name}:' in line), '')
        test.check(f'{name}: driver, address and link are said', f'({driver})' in line and 'link up' in line and
                   '52:54:00:12:34:' in line.lower(), line)


if __name__ == '__main__':
    guest.run(main)
