# SPDX-License-Identifier: BSD-3-Clause
"""What the end-to-end tests share: a network of their own, the real daemon, the command line, and senders.

run(main, needs=...) moves the test into a network namespace that goes away with it; the daemon runs there, senders
run in a second one at the far end of a veth pair. Nothing has a name that another test could collide with, and
nothing outlives the test, even if it is killed. Prints TAP.
"""
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

NEAR, FAR = 'pst0', 'pst1'
NEAR_IP, FAR_IP = '198.18.0.1', '198.18.0.2'
SKIP = 77
CATALOG_TOPICS = ('raw_events_topic', 'enriched_events_topic', 'dead_letter_topic_enrichment')
DEADLINE_S = 120  # for anything that takes a second on an idle machine
HUGE_KNOB = Path('/proc/sys/vm/nr_hugepages')
HUGE_LOCK = '/run/lock/penstock-e2e-hugepages'
IN_NETWORK = 'PENSTOCK_E2E_NETWORK'

SOURCE = Path(os.environ.get('PENSTOCK_SOURCE', Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get('PENSTOCK_BUILD', SOURCE / 'build'))
PENSTOCK = BUILD / 'tools' / 'penstock'
PENSTOCKD = BUILD / 'controlplane' / 'penstockd'


class Failed(Exception):
    """The test cannot go on."""


class Tap:
    def __init__(self):
        self.number = self.failed = 0

    def check(self, name, good, detail=''):
        self.number += 1
        self.failed += not good
        text = f' # {detail}' if detail != '' and not good else ''
        print(f'{"ok" if good else "not ok"} {self.number} - {name}{text}', flush=True)
        return good

    def equal(self, name, found, wanted):
        return self.check(name, found == wanted, f'{str(found)[:600]}, not {str(wanted)[:600]}')


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(SKIP)


def wait_until(condition, what, seconds=DEADLINE_S):
    """Waits until condition() is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f'{what}: not within {seconds} s')
        time.sleep(0.02)


def command(*words, check=True, **options):
    """Runs a program to its end. With check, a failure ends the test."""
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE_S, check=False, **options)
    if check and done.returncode != 0:
        raise Failed(f'{words[0]}: status {done.returncode}: {done.stderr.decode(errors="replace")[-800:]}')
    return done


# ---- hugepages: taken under a lock, so that tests which start at once do not count the same pages ----

class Hugepages:
    """Enough free pages for a daemon to start; what was added is given back at the end, as far as it is free."""

    def __init__(self):
        self.added = 0

    @staticmethod
    def free():
        return int(re.search(r'HugePages_Free:\s+(\d+)', Path('/proc/meminfo').read_text())[1])

    def raise_to(self, pages):
        """Whether so many are free; if not, adds what is missing first."""
        missing = pages - self.free()
        if missing > 0:
            before = int(HUGE_KNOB.read_text())
            HUGE_KNOB.write_text(str(before + missing))
            self.added += int(HUGE_KNOB.read_text()) - before
        return self.free() >= pages

    def lock(self, megabytes):
        """Returns the lock; it is to be closed when the daemon has its memory."""
        lock = open(HUGE_LOCK, 'w')
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            wait_until(lambda: self.raise_to(megabytes // 2), 'free hugepages', seconds=20)
        except Failed:
            lock.close()
            raise
        return lock

    def give_back(self):
        if self.added == 0:
            return
        with open(HUGE_LOCK, 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            HUGE_KNOB.write_text(str(max(0, int(HUGE_KNOB.read_text()) - self.added)))
            self.added = 0


# ---- the network ----

class Network:
    """A veth pair from this namespace to one that lives as long as the process that holds it."""

    def __init__(self, queues=2):
        self.holder = subprocess.Popen(['unshare', '-n', 'sh', '-c', 'echo made; exec cat'], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        command('ip', 'link', 'add', NEAR, 'numrxqueues', queues, 'numtxqueues', queues, 'type', 'veth', 'peer',
                'name', FAR, 'numrxqueues', queues, 'numtxqueues', queues, 'netns', self.holder.pid)
        command('ip', 'address', 'add', NEAR_IP + '/30', 'dev', NEAR)
        command('ip', 'link', 'set', NEAR, 'up')
        self.far('ip', 'link', 'set', 'lo', 'up')
        # Or UDP checksums are left to a card that is not there, and all arrive wrong.
        self.far('ethtool', '-K', FAR, 'tx', 'off')
        self.far('ip', 'address', 'add', FAR_IP + '/30', 'dev', FAR)
        self.far('ip', 'link', 'set', FAR, 'up')
        wait_until(lambda: self.reaches(NEAR_IP), 'the far end reaches the near one')

    def inside(self, *words):
        return ['nsenter', '-t', str(self.holder.pid), '-n', *map(str, words)]

    def far(self, *words, **options):
        return command(*self.inside(*words), **options)

    def reaches(self, address, count=1):
        return self.far('ping', '-c', count, '-i', '0.2', '-W', 5, address, check=False).returncode == 0

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()


# ---- the daemon ----

def example(name, directory, *changes, queues=2, lcores=None, memory_mb=128):
    """An example configuration, made to run in a directory of the test's. changes: (pattern, replacement)."""
    text = (SOURCE / 'docs' / 'examples' / f'{name}.yaml').read_text()
    cpu = max(os.sched_getaffinity(0))
    lcores = lcores or f'["1@{cpu}"]'
    for pattern, replacement in [
            (r'lcores: .*', f'lcores: {lcores}\n  memory_mb: {memory_mb}'),
            (r'queues: 1', f'queues: {queues}'), (r'interface: pst0', f'interface: {NEAR}'),
            (r'budget_mb: \d+', 'budget_mb: 16'),
            (r'directory: lake', f'directory: {directory}/lake'),
            (r'socket: .*', f'socket: {directory}/control.sock\n  state: {directory}/state'),
            (r'http: .*', 'http: 127.0.0.1:0'), *changes]:
        if pattern.startswith('lcores'):
            text = re.sub(r'  memory_mb: .*\n', '', text)
        text, n = re.subn(pattern, lambda _, r=replacement: r, text)
        if n == 0:
            raise Failed(f'{name}.yaml has nothing like "{pattern}"')
    return text


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('penstock', timeout=DEADLINE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Daemon:
    def __init__(self, test, text, name='penstockd', memory_mb=128, options=()):
        self.test, self.directory = test, test.directory
        self.config = self.directory / f'{name}.yaml'
        self.config.write_text(text)
        self.log_path = self.directory / f'{name}.log'
        self.socket = Path(re.search(r'socket: (\S+)', text)[1])
        self.memory_mb, self.options = memory_mb, options
        self.process = None

    def start(self, until='ready$|waiting for dimension', **options):
        """Starts it and waits for a line of its log. Hugepages may be gone before it has them, to a program that
        knows nothing of our lock: then once more."""
        for last in (False, False, True):
            try:
                return self.start_once(until, **options)
            except Failed:
                if last or 'EAL did not start (Cannot allocate memory)' not in self.log():
                    raise
                print(f'# {self.config.name}: somebody else took the hugepages', flush=True)
        return None

    def start_once(self, until, **options):
        with self.test.hugepages.lock(self.memory_mb * 2), open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', str(PENSTOCKD), '--config', str(self.config), *self.options],
                stdout=log, stderr=subprocess.STDOUT, **options)
            self.wait_log(until)
        return self

    def log(self):
        return self.log_path.read_text(errors='replace')

    def wait_log(self, pattern):
        def look():
            ended = self.process.poll() is not None
            found = re.search(pattern, self.log(), re.MULTILINE)
            if not found and ended:
                raise Failed(f'the daemon ended with status {self.process.returncode} before it said "{pattern}"')
            return found
        return wait_until(look, f'the daemon says "{pattern}"')

    def request(self, method, path, body=None):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self):
        code, body = self.request('GET', '/v1/status')
        if code != 200:
            raise Failed(f'/v1/status: {code} {body[:200]}')
        return json.loads(body)

    def stream(self):
        return self.status()['streams'][0]

    def cli(self, *words, check=True, **options):
        return command(PENSTOCK, *words, '--socket', self.socket, check=check, **options)

    def push(self, path, name=None, check=True):
        return self.cli('dim', 'push', path, *(['--name', name] if name else []), check=check)

    def end(self, number=signal.SIGTERM):
        """Sends a signal and waits for the end; returns the status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        return self.process.wait(DEADLINE_S)

    def settle(self, received):
        """Until so many events are received and nothing is in flight; gives up when nothing moves any more."""
        last, since = None, time.monotonic()
        while True:
            stream = self.stream()
            if stream['received'] >= received and stream['in_flight'] == 0:
                return stream
            if stream != last:
                last, since = stream, time.monotonic()
            elif time.monotonic() > since + 30:
                raise Failed(f'nothing has moved for 30 s: {received} events were sent, {json.dumps(self.status())}')
            time.sleep(0.05)


# ---- brokers ----

class Broker:
    """Kafka brokers in another process (mock_broker.c) that do as they are told."""

    def __init__(self, program, topics=CATALOG_TOPICS):
        self.process = subprocess.Popen([program, *topics], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self.process.stdout.readline().decode().strip()

    def tell(self, word):
        self.process.stdin.write(word.encode() + b'\n')
        self.process.stdin.flush()
        if self.process.stdout.readline() != b'ok\n':
            raise Failed(f'the broker does not do "{word}"')

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- senders ----

class Sender:
    """`penstock send` at the far end, fed through a pipe."""

    def __init__(self, network, port=9000, rate='max', source_ports=16, per_datagram=5):
        self.process = subprocess.Popen(
            network.inside(PENSTOCK, 'send', '--to', f'{NEAR_IP}:{port}', '--file', '-', '--rate', rate,
                           '--per-datagram', per_datagram, '--source-ports', source_ports, '--json'),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.sent = 0

    def send(self, lines):
        self.process.stdin.write(b''.join(line + b'\n' for line in lines))
        self.process.stdin.flush()
        self.sent += len(lines)

    def close(self):
        out, _ = self.process.communicate(timeout=DEADLINE_S)
        if self.process.returncode != 0 or json.loads(out)['events'] != self.sent:
            raise Failed(f'penstock send: status {self.process.returncode}: {out}')


class Feeder:
    """Sends no faster than the daemon takes it: on a busy machine the test gets slower, and loses nothing."""
    CHUNK, WINDOW = 500, 4000

    def __init__(self, daemon, received=0):
        self.daemon, self.sent, self.received = daemon, received, received

    def feed(self, senders, lines, events_per_s=40000):
        """The same lines to every sender, at the same time."""
        begin, at_begin = time.monotonic(), self.sent
        for at in range(0, len(lines), self.CHUNK):
            chunk = lines[at:at + self.CHUNK]
            for sender in senders:
                sender.send(chunk)
                self.sent += len(chunk)
            last = time.monotonic()
            while self.sent - self.received > self.WINDOW:
                received = self.daemon.stream()['received']
                if received != self.received:
                    self.received, last = received, time.monotonic()
                elif time.monotonic() > last + 30:
                    raise Failed(f'{self.sent - received} events did not arrive: {json.dumps(self.daemon.status())}')
            ahead = (self.sent - at_begin) / events_per_s - (time.monotonic() - begin)
            if ahead > 0:
                time.sleep(ahead)  # the rate; nothing waits for it

    def send(self, network, lines, n_senders=1, **options):
        senders = [Sender(network, **{'source_ports': 16, **options}) for _ in range(n_senders)]
        self.feed(senders, lines)
        for sender in senders:
            sender.close()
        return self.daemon.settle(self.sent)


class Load(threading.Thread):
    """Events at a steady rate while the test does other things."""

    PART = 1000

    def __init__(self, network, feeder, lines, rate):
        super().__init__(daemon=True)
        self.network, self.feeder, self.lines, self.rate = network, feeder, lines, rate
        self.error = self.sender = None
        self.enough = threading.Event()
        self.start()

    def run(self):
        try:
            sender = self.sender = Sender(self.network)
            for at in range(0, len(self.lines), self.PART):
                if self.enough.is_set():
                    break
                self.feeder.feed([sender], self.lines[at:at + self.PART], self.rate)
            sender.close()
        except Exception as error:  # pylint: disable=broad-except # the test shows it
            self.error = error

    def kill(self):
        """Ends it when there is no daemon any more."""
        self.enough.set()
        self.sender.process.kill()
        self.join()

    def finish(self):
        """Returns how many events were sent."""
        self.enough.set()
        self.join()
        if self.error is not None:
            raise Failed(f'sending: {self.error}')
        return self.feeder.sent


# ---- what comes out ----

def stored(directory, stream, output):
    """The lines of an output in the lake."""
    files = sorted(Path(directory, 'lake', stream, output).rglob('*.zst'))
    if not files:
        return []
    return command('zstd', '-dcq', *files).stdout.split(b'\n')[:-1]


def consume(brokers, topic):
    """All records of a topic: (key or None, {header: value}, value)."""
    data = command('kcat', '-C', '-q', '-b', brokers, '-t', topic, '-o', 'beginning', '-e', '-f',
                   '%K %S %h\\n%k%s').stdout
    records, at = [], 0
    while at < len(data):
        end = data.index(b'\n', at)
        key_len, value_len, *headers = data[at:end].split(b' ', 2)
        at, key_len, value_len = end + 1, int(key_len), int(value_len)
        key = None if key_len < 0 else data[at:at + key_len]
        at += max(key_len, 0)
        names = {}
        for part in re.split(r',(?=[a-z_.]+=)', headers[0].decode() if headers else ''):
            name, _, value = part.partition('=')
            names[name] = value
        records.append((key, names, data[at:at + value_len]))
        at += value_len
    return records


TIME = re.compile(rb'"processing_timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}\}$')


def without_time(line):
    """An enriched record with its processing time, which must be there, taken out."""
    text, n = TIME.subn(b'"processing_timestamp":""}}', line)
    return text if n == 1 else b'no processing_timestamp: ' + line


def event_bytes(line):
    """What of a line is the event: not the blanks around it, which belong to the line."""
    return line.strip(b' \t\r')


def same(test, name, found, wanted):
    """The same lines, each as often; in any order."""
    found, wanted = Counter(found), Counter(wanted)
    test.check(name, found == wanted, f'too many: {list((found - wanted).items())[:2]}, '
               f'missing: {list((wanted - found).items())[:2]}')


def rows_of(path):
    """{key: the row's JSON text} of a file of JSON lines whose first member is the key."""
    rows = {}
    for line in Path(path).read_bytes().split(b'\n')[:-1]:
        first, rest = line.split(b',', 1)
        rows[json.loads(first.split(b':', 1)[1])] = b'{' + rest
    return rows


# ---- a test's frame ----

class Test(Tap):
    """A test's directory, its hugepages and what is to be closed at its end."""

    def __init__(self, directory):
        super().__init__()
        self.directory = Path(directory)
        self.hugepages = Hugepages()
        self.closing = []
        self.last = ''  # a line to end with, behind the plan

    def network(self, **options):
        network = Network(**options)
        self.closing.append(network.close)
        return network

    def daemon(self, text, **options):
        daemon = Daemon(self, text, **options)
        self.closing.append(lambda: self.stop(daemon))
        return daemon

    def stop(self, daemon):
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()

    def build(self, rows, key, name, *options):
        """Builds and returns a snapshot."""
        path = self.directory / f'{name}.dim'
        command(PENSTOCK, 'dim', 'build', '--from', rows, '--key', key, '-o', path, *options)
        return path

    def close(self):
        while self.closing:
            self.closing.pop()()
        self.hugepages.give_back()


def in_directory(main, prefix):
    """Runs main(test) in a directory of its own and exits."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    with tempfile.TemporaryDirectory(prefix=prefix) as directory:
        test = Test(directory)
        try:
            main(test)
        except (Failed, subprocess.TimeoutExpired) as error:
            test.check('goes to its end', False, error)
        finally:
            if test.failed or sys.exc_info()[0] is not None:
                for log in sorted(test.directory.rglob('*.log')):
                    print(f'# {log.name}\n' + '\n'.join('#   ' + x for x in
                                                        log.read_text(errors='replace').splitlines()[-20:]))
            test.close()
    print(f'1..{test.number}')
    if test.last:
        print(test.last)
    sys.exit(1 if test.failed else 0)


def run(main, needs=('ethtool', 'zstd')):
    """Runs main(test) in a network namespace of its own and exits."""
    if os.geteuid() != 0:
        skip('needs root')
    for program in ('unshare', 'nsenter', 'setpriv', 'ip', 'ping', *needs):
        if shutil.which(program) is None:
            skip(f'{program} is not installed')
    for program in (PENSTOCK, PENSTOCKD):
        if not program.exists():
            skip(f'{program} is not built')
    if IN_NETWORK not in os.environ:
        if command('unshare', '-n', 'true', check=False).returncode != 0:
            skip('network namespaces are not allowed here')
        os.environ[IN_NETWORK] = '1'
        os.execvp('unshare', ['unshare', '-n', sys.executable, *sys.argv])
    command('ip', 'link', 'set', 'lo', 'up')
    if not HUGE_KNOB.exists() or not os.access(HUGE_KNOB, os.W_OK):
        skip('this kernel has no hugepages for us')
    in_directory(main, 'pst-e2e-')
