# SPDX-License-Identifier: BSD-3-Clause
"""A machine with network cards for the tests: QEMU without KVM, a Debian kernel, and the programs of the build.

A guest boots from an initramfs made here: busybox, penstockd and penstock with their libraries, the drivers of DPDK and
the kernel that the cards need, and the test's own files. It starts the daemon on cards that a DPDK driver holds, waits
until it has received what the test sends, ends it, and leaves what came out on a raw disk, as a tar file. The console
says how far it is, in lines that begin with "@@ ". No root is needed, and no KVM.

The CPU is one that emulation has no trouble with and that DPDK accepts (SSE4.2): without AVX, which is slow when
emulated, so the daemon's AVX code is not what runs here.
"""
import json
import lzma
import os
import re
import select
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import time
from datetime import datetime, timezone
from pathlib import Path

SOURCE = Path(os.environ.get('PENSTOCK_SOURCE', Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(SOURCE / 'tests' / 'e2e'))
import afxdp_exact  # noqa: E402
import appliance  # noqa: E402
from appliance import PENSTOCK, PENSTOCKD, Failed, command, skip  # noqa: E402

QEMU = 'qemu-system-x86_64'
BUSYBOX = Path('/bin/busybox')
INIT = Path(__file__).with_name('init.sh')
CPU = 'Westmere'
RESULT_BYTES = 64 << 20
BOOT_S, WORK_S = 240, 240  # an idle machine takes 4 s and 4 s
DPDK_DRIVERS = ('bus_pci', 'bus_vdev', 'mempool_ring', 'net_e1000', 'net_virtio', 'net_vmxnet3')
KERNEL_MODULES = ('virtio_pci', 'virtio_blk', 'vfio_iommu_type1', 'vfio-pci', 'uio_pci_generic')


# ---- the initramfs ----

class Initramfs:
    """A cpio archive in the kernel's format, which needs neither root nor a program to make."""

    MERGED = 'bin', 'lib', 'lib64', 'sbin'  # as in Debian, they are links into /usr

    def __init__(self):
        self.parts, self.seen, self.inode = [], set(), 0
        self.add('.', stat.S_IFDIR | 0o755)
        for name in self.MERGED:
            self.add(f'usr/{name}', stat.S_IFDIR | 0o755)
            self.add(name, stat.S_IFLNK | 0o777, f'usr/{name}'.encode())

    def add(self, path, mode, data=b''):
        path = path.strip('/')
        if path.split('/')[0] in self.MERGED and '/' in path:
            path = 'usr/' + path
        for parent in reversed(Path(path).parents):
            if str(parent) not in self.seen:
                self.add(str(parent), stat.S_IFDIR | 0o755)
        if path in self.seen:
            return
        self.seen.add(path)
        self.inode += 1
        name = path.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        header = b'070701' + b''.join(b'%08x' % field for field in fields) + name
        self.parts += [header, bytes(-len(header) % 4), data, bytes(-len(data) % 4)]

    def text(self, path, text, mode=0o644):
        self.add(path, stat.S_IFREG | mode, text.encode())

    def file(self, source, path=None):
        """A file, at the same place; what a symbolic link leads to as well."""
        source = Path(source)
        if source.is_symlink() and path is None:
            target = os.readlink(source)
            self.add(str(source), stat.S_IFLNK | 0o777, target.encode())
            self.file(os.path.normpath(source.parent / target))
        else:
            self.add(str(path or source), stat.S_IFREG | (source.stat().st_mode & 0o777), source.read_bytes())

    def program(self, source, path=None):
        """A program or library with all libraries that it needs."""
        self.file(source, path)
        for library in re.findall(r'(/\S+) \(0x', command('ldd', source, check=False).stdout.decode()):
            self.file(library)

    def write(self, out):
        self.add('TRAILER!!!', 0)
        for part in self.parts:
            out.write(part)


def kernel():
    """The newest Debian kernel that has its modules: (vmlinuz, directory of the modules)."""
    found = []
    for image in Path('/boot').glob('vmlinuz-*-amd64'):
        modules = Path('/lib/modules') / image.name.removeprefix('vmlinuz-')
        if (modules / 'modules.dep').exists() and os.access(image, os.R_OK):
            found.append(([int(n) for n in re.findall(r'\d+', image.name)], image, modules))
    if not found:
        skip('no kernel for a guest: linux-image-amd64 is not installed')
    return max(found)[1:]


def unpack(image, out):
    """The kernel proper, which QEMU starts at once; to unpack itself it would take longer than the rest of the boot."""
    data = image.read_bytes()
    start = (data[0x1f1] + 1) * 512
    offset, length = struct.unpack_from('<II', data, 0x248)
    payload = data[start + offset:start + offset + length]
    if not payload.startswith(b'\xfd7zXZ'):
        return image
    out.write_bytes(lzma.LZMADecompressor().decompress(payload))
    return out


def module_files(directory):
    """The kernel modules in the order in which they are to be loaded."""
    needs, order = {}, []
    for line in (directory / 'modules.dep').read_text().splitlines():
        path, rest = line.split(':')
        needs[Path(path).name.split('.')[0].replace('-', '_')] = (path, rest.split())

    def visit(path):
        for needed in reversed(needs[Path(path).name.split('.')[0].replace('-', '_')][1]):
            visit(needed)
        if path not in order:
            order.append(path)
    for name in KERNEL_MODULES:
        if name.replace('-', '_') in needs:
            visit(needs[name.replace('-', '_')][0])
    return [directory / path for path in order]


def drivers():
    found = list(Path('/usr/lib').glob('*/dpdk/pmds-*'))
    if not found:
        skip('the drivers of DPDK are not installed')
    return found[0]


class Guest:
    """One boot. files: what the test adds, {path: text or Path}. devices: QEMU's options for cards and NUMA nodes."""

    def __init__(self, test, name, config, files, devices, cards, driver, expect, pages_per_node, memory_mb=1280,
                 cpus=3, machine='q35', before=''):
        self.test, self.name = test, name
        self.directory = test.directory / name
        self.directory.mkdir()
        self.disk, self.initrd = self.directory / 'result.raw', self.directory / 'initrd'
        image, modules = kernel()
        self.image = unpack(image, self.directory / 'vmlinux')
        files = dict(files)
        files['/penstock.yaml'] = config
        files['/before.sh'] = before
        files['/test.conf'] = (f'CARDS="{" ".join(cards)}"\nDRIVER={driver}\nEXPECT={expect}\n'
                               f'PAGES_PER_NODE={pages_per_node}\n')
        self.build(files, modules)
        with open(self.disk, 'wb') as disk:
            disk.truncate(RESULT_BYTES)
        self.words = [
            QEMU, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine', machine, '-accel',
            'tcg,thread=multi', '-cpu', CPU, '-smp', str(cpus), '-m', str(memory_mb), '-serial', 'stdio', '-kernel',
            str(self.image), '-initrd', str(self.initrd), '-append', 'console=ttyS0 quiet panic=-1 nokaslr', '-drive',
            f'file={self.disk},format=raw,if=none,id=result', '-device', 'virtio-blk-pci,drive=result', *devices]
        self.console, self.process, self.began = b'', None, None

    def build(self, files, modules):
        archive = Initramfs()
        archive.text('/init', INIT.read_text(), 0o755)
        archive.add('/dev', stat.S_IFDIR | 0o755)
        archive.program(BUSYBOX)
        archive.program(PENSTOCKD, '/bin/penstockd')
        archive.program(PENSTOCK, '/bin/penstock')
        for driver in DPDK_DRIVERS:
            for library in drivers().glob(f'librte_{driver}.so.*'):
                archive.program(library)
        listed = module_files(modules)
        for module in listed:
            archive.file(module)
        archive.text('/modules.list', ''.join(f'{module}\n' for module in listed))
        for path, content in files.items():
            if isinstance(content, Path):
                archive.file(content, path)
            else:
                archive.text(path, content)
        with open(self.initrd, 'wb') as out:
            archive.write(out)

    def start(self):
        self.began = time.monotonic()
        self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', *self.words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def wait(self, pattern, seconds):
        """Waits for a line "@@ pattern" on the console and returns the match."""
        wanted = re.compile(rb'^@@ ' + pattern.encode() + rb'\r?$', re.MULTILINE)
        deadline = time.monotonic() + seconds
        while True:
            found = wanted.search(self.console)
            if found:
                return found
            failed = re.search(rb'^@@ failed: ([^\r\n]*)\r?\n(?:.*\n)*@@ end', self.console, re.MULTILINE)
            if failed:
                raise Failed(f'the guest: {failed[1].decode(errors="replace")}')
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failed(f'the guest did not say "{pattern}" within {seconds} s')
            if not select.select([self.process.stdout], [], [], left)[0]:
                continue
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise Failed(f'QEMU ended (status {self.process.wait()}) before the guest said "{pattern}"')
            self.console += more

    def running(self, condition):
        """The condition, to be waited for as long as QEMU runs."""
        def look():
            if self.process.poll() is not None:
                raise Failed(f'QEMU ended with status {self.process.returncode}')
            return condition()
        return look

    def ready(self):
        self.wait('ready', BOOT_S)
        print(f'# {self.name}: ready after {time.monotonic() - self.began:.1f} s', flush=True)

    def finish(self):
        """Until the guest is off. Returns the directory of what it left; status of the daemon in .status."""
        out = self.directory / 'out'
        self.wait('received .*', WORK_S)
        self.status = int(self.wait(r'daemon (\d+)', WORK_S)[1])
        self.wait('end ok', WORK_S)
        self.process.wait(WORK_S)
        with tarfile.open(self.disk) as tar:
            tar.extractall(out)
        print(f'# {self.name}: off after {time.monotonic() - self.began:.1f} s', flush=True)
        return out

    def close(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.console += self.process.communicate()[0]
        if self.test.failed or sys.exc_info()[0] is not None:
            print(f'# {self.name}: the console\n' + '\n'.join(
                '#   ' + line for line in self.console.decode(errors='replace').splitlines()[-40:]))


# ---- senders ----

class Wire:
    """The far end of a card's cable: frames into QEMU's `-netdev stream`, which takes no more than the card does."""

    def __init__(self, name, directory):
        self.name, self.path = name, directory / f'{name}.sock'
        self.option = f'stream,id={name},server=on,addr.type=unix,addr.path={self.path}'
        self.socket = socket.socket(socket.AF_UNIX)

    def connect(self):
        self.socket.settimeout(WORK_S)
        self.socket.connect(str(self.path))

    def send(self, frames):
        self.socket.sendall(b''.join(struct.pack('>I', len(frame)) + frame for frame in frames))

    def close(self):
        self.socket.close()


# ---- the job: the main one of the end-to-end tests, on a smaller scale ----

def configuration(sources, lcores):
    return appliance.example('catalog', '/appliance', (r'(?s)sources:.*?\n\nstreams:', f'sources:\n{sources}\nstreams:'),
                             (r'(?s)  kafka:.*?  files:', '  files:'), lcores=lcores)


class Job:
    """Events of every kind, the snapshots that they are joined with, and what must come of them."""
    ROWS = 500

    def __init__(self, test, count):
        self.start = datetime.now(timezone.utc).replace(microsecond=0)
        self.events, self.pcap = test.directory / 'events', test.directory / 'events.pcap'
        expect = test.directory / 'expect'
        for form, out in (('ndjson', self.events), ('pcap', self.pcap)):
            command(PENSTOCK, 'gen', 'events', '--count', count, '--seed', 5, '--duplicates', '5%', '--malformed', '3%',
                    '--unknown-products', '2%', '--products', self.ROWS, '--users', self.ROWS, '--places', self.ROWS,
                    '--start', self.start.strftime('%Y-%m-%dT%H:%M:%SZ'), '--format', form, '--out', out, '--expect',
                    expect)
        self.says = json.loads(expect.read_text())
        self.lines = self.events.read_bytes().split(b'\n')[:-1]
        self.files, self.rows = {}, {}
        for name, _, _, key in afxdp_exact.JOINS:
            for kind in ('csv', 'jsonl'):
                command(PENSTOCK, 'gen', 'dimension', '--name', name, '--rows', self.ROWS, '--out',
                        test.directory / f'{name}.{kind}')
            self.files[f'/{name}.dim'] = test.build(test.directory / f'{name}.csv', key, name)
            self.rows[name] = appliance.rows_of(test.directory / f'{name}.jsonl')

    def frames(self):
        """The frames of the pcap file."""
        data, at, frames = self.pcap.read_bytes(), 24, []
        while at < len(data):
            size = struct.unpack_from('<I', data, at + 8)[0]
            frames.append(data[at + 16:at + 16 + size])
            at += 16 + size
        return frames

    def check(self, test, status, out, log, code):
        """The ledger, the reasons, and every byte that was stored in the guest."""
        stream, says = status['streams'][0], self.says
        for name, wanted in (('received', says['sent']), ('durable', says['durable']),
                             ('dead_lettered', says['dead_lettered']), ('duplicate', says['duplicate']), ('shed', 0),
                             ('in_flight', 0), ('conserved', True),
                             ('drops', dict(says['by_reason'], duplicate=says['duplicate']))):
            test.equal(name, stream[name], wanted)
        test.equal('no alarms', status['alarms'], [])
        test.equal('SIGTERM: drained, exit 0', code, 0)
        wanted = 'conserved: yes ' + ' '.join(f'{name}={stream[name]}' for name in (
            'received', 'durable', 'dead_lettered', 'duplicate', 'shed', 'in_flight'))
        test.check('its last words', wanted in log, log[-300:])
        expected = afxdp_exact.Expected(self.lines, self.rows, self.start)
        appliance.same(test, 'enriched files: every event, once, byte for byte',
                       map(appliance.without_time, appliance.stored(out, 'catalog', 'enriched')), expected.enriched)
        appliance.same(test, 'raw files: the bytes as they came', appliance.stored(out, 'catalog', 'raw'), expected.raw)
        appliance.same(test, 'dead letter files: the bytes as they came',
                       map(afxdp_exact.original, appliance.stored(out, 'catalog', 'dead_letter')), expected.dead)


def run(main, needs=(), inside=None):
    """Runs main(test) and exits. inside: the words of a program to start it anew in."""
    for program in (QEMU, 'setpriv', 'zstd', 'ldd', *needs):
        if shutil.which(program) is None:
            skip(f'{program} is not installed')
    if not BUSYBOX.exists():
        skip('busybox-static is not installed')
    for program in (PENSTOCK, PENSTOCKD):
        if not program.exists():
            skip(f'{program} is not built')
    kernel()
    drivers()
    if inside is not None and 'PENSTOCK_QEMU_INSIDE' not in os.environ:
        if command(*inside, 'true', check=False).returncode != 0:
            skip(f'"{" ".join(inside)}" is not allowed here')
        os.environ['PENSTOCK_QEMU_INSIDE'] = '1'
        os.execvp(inside[0], [*inside, sys.executable, *sys.argv])
    appliance.in_directory(main, 'pst-qemu-')
