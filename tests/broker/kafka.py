# SPDX-License-Identifier: BSD-3-Clause
"""A real Apache Kafka broker (KRaft, one node) for tests. How to start one:

    import kafka                                    # PYTHONPATH has tests/e2e, where appliance.py is
    kafka.need()                                    # skips the test, with the reason, where a broker cannot be had
    with kafka.Broker(directory, admin) as broker:  # its files go below directory; admin: the program kafka_admin
        broker.create('topic', partitions=4, **{'max.message.bytes': 1000})
        ... broker.plain ...                        # 'HOST:PORT', without authentication
        broker.kill(); broker.start()               # kill -9, and again, with all that was acknowledged

and with certificates and users:

    ca = kafka.Authority(directory / 'ca')
    broker = kafka.Broker(directory, admin, certificate=ca.certificate(), users={'penstock': 'secret'})
    ... broker.secure ...                           # 'HOST:PORT', SASL_SSL with SCRAM-SHA-512; ca.path is for clients
    broker.set_password('penstock', 'another'); broker.set_certificate(ca.certificate(expired=True)) # needs a restart

Topics are made by hand only: a topic that is missing is missing. The broker listens on ports of its own on 127.0.0.1, in
the caller's network namespace, keeps them over a restart, and is killed with the process that started it. Java and Maven
are needed; Maven fetches what pom.xml lists once, and keeps it where it keeps everything (~/.m2).
"""
import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from appliance import BUILD, DEADLINE_S, Failed, command, skip, wait_until

HERE = Path(__file__).resolve().parent
LIBRARIES = BUILD / 'tests' / 'broker' / 'libraries'
FETCH_S = 240  # 42 MB, the first time
COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
JAVA = ['java', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
CLUSTER = 'cGVuc3RvY2stdGVzdHMtMQ'  # 16 bytes, as base64 has them in URLs

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.delete.delay.ms=100
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
{secure}
"""

SECURE = """
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
"""

LOGGING = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="%d{HH:mm:ss.SSS} %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root>
  <Logger name="kafka.server.KafkaRaftServer" level="INFO"/></Loggers>
</Configuration>
"""


def fetch():
    """Fills LIBRARIES if it is not what pom.xml says. Returns why not, or None."""
    stamp = LIBRARIES / 'stamp'
    wanted = hashlib.sha256((HERE / 'pom.xml').read_bytes()).hexdigest()
    LIBRARIES.mkdir(parents=True, exist_ok=True)
    with open(LIBRARIES.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return None
        shutil.rmtree(LIBRARIES)
        LIBRARIES.mkdir()
        # What is in ~/.m2 needs no network.
        for mode in (['--offline'], []):
            try:
                done = subprocess.run(['mvn', '-q', '-B', *mode, '-f', HERE / 'pom.xml', COPY,
                                       f'-DoutputDirectory={LIBRARIES}', '-DincludeScope=runtime'], timeout=FETCH_S,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            except subprocess.TimeoutExpired:
                return f'Maven did not fetch Kafka within {FETCH_S} s'
            if done.returncode == 0:
                stamp.write_text(wanted)
                return None
    errors = re.findall(r'\[ERROR\] (.*)', done.stdout.decode(errors='replace'))
    return f'Maven cannot fetch Kafka: {errors[0][:200] if errors else "no reason given"}'


def need():
    for program, package in (('java', 'openjdk-17-jre-headless'), ('mvn', 'maven'), ('openssl', 'openssl'),
                             ('setpriv', 'util-linux')):
        if shutil.which(program) is None:
            skip(f'{program} (package {package}) is not installed, a Kafka broker cannot be started')
    reason = fetch()
    if reason is not None:
        skip(reason)


def free_ports(n):
    """Ports that nobody listens on now; who takes one before the broker does makes it try others."""
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(('127.0.0.1', 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Authority:
    """Makes certificates for 127.0.0.1 and localhost. path: what a client is to trust."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.path, self.key, self.number = self.directory / 'ca.pem', self.directory / 'ca.key', 0
        command('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30, '-keyout', self.key, '-out',
                self.path, '-subj', '/CN=penstock tests')
        (self.directory / 'index').touch()
        (self.directory / 'ca.cnf').write_text(
            f'[ca]\ndefault_ca=d\n[d]\ndatabase={self.directory}/index\nnew_certs_dir={self.directory}\n'
            f'rand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\nx509_extensions=x\n'
            f'[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n')

    def certificate(self, expired=False):
        """A key and its certificate in one PEM file, as the broker reads them."""
        self.number += 1
        base = self.directory / f'{self.number}'
        command('openssl', 'req', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{base}.key', '-out', f'{base}.csr',
                '-subj', '/CN=localhost')
        since, until = time.time() - 86400 * 3, time.time() + 86400 * (-1 if expired else 30)
        command('openssl', 'ca', '-batch', '-notext', '-config', self.directory / 'ca.cnf', '-cert', self.path,
                '-keyfile', self.key, '-in', f'{base}.csr', '-out', f'{base}.crt',
                '-startdate', time.strftime('%Y%m%d%H%M%SZ', time.gmtime(since)),
                '-enddate', time.strftime('%Y%m%d%H%M%SZ', time.gmtime(until)))
        both = base.with_suffix('.pem')
        both.write_text(Path(f'{base}.key').read_text() + Path(f'{base}.crt').read_text() + self.path.read_text())
        return both


class Broker:
    def __init__(self, directory, admin, certificate=None, users=None):
        self.directory, self.admin = Path(directory) / 'kafka', admin
        self.users, self.process = users or {}, None
        self.directory.mkdir(parents=True)
        self.keystore = self.directory / 'keystore.pem' if certificate else None
        if certificate:
            self.set_certificate(certificate)
        self.log_path = self.directory.parent / 'kafka.log'
        self.properties = self.directory / 'server.properties'
        (self.directory / 'log4j2.xml').write_text(LOGGING)
        self.environment = dict(os.environ, CLASSPATH=f'{LIBRARIES}/*')

    def __enter__(self):
        for _ in range(5):
            self.configure()
            try:
                return self.start()
            except Failed:
                self.kill()
                if 'Address already in use' not in self.log():
                    raise
        raise Failed('Kafka finds no free ports')

    def __exit__(self, *_):
        self.kill()

    def configure(self):
        """New ports and empty storage."""
        plain, secure, controller = free_ports(3)
        self.plain, self.secure = f'127.0.0.1:{plain}', f'127.0.0.1:{secure}'
        listeners = [f'PLAINTEXT://{self.plain}', f'CONTROLLER://127.0.0.1:{controller}']
        if self.keystore:
            listeners.append(f'SASL_SSL://{self.secure}')
        self.properties.write_text(PROPERTIES.format(
            controller=controller, listeners=','.join(listeners), data=self.directory / 'data',
            secure=SECURE.format(keystore=self.keystore) if self.keystore else ''))
        shutil.rmtree(self.directory / 'data', ignore_errors=True)
        scram = [word for name, password in self.users.items()
                 for word in ('--add-scram', f'SCRAM-SHA-512=[name={name},password={password}]')]
        self.java('kafka.tools.StorageTool', 'format', '-t', CLUSTER, '-c', self.properties, *scram)

    def words(self, program, *words):
        return [*JAVA, f'-Dlog4j2.configurationFile={self.directory}/log4j2.xml', program, *map(str, words)]

    def java(self, program, *words):
        return command(*self.words(program, *words), env=self.environment)

    def log(self):
        return self.log_path.read_text(errors='replace')

    def start(self):
        """Returns when the broker serves."""
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', *self.words('kafka.Kafka', self.properties)],
                env=self.environment, stdout=log, stderr=subprocess.STDOUT)

        def serves():
            if self.process.poll() is not None:
                raise Failed(f'Kafka ended with status {self.process.returncode}: {self.log()[-1500:]}')
            return 'Kafka Server started' in self.log()
        wait_until(serves, 'Kafka serves')
        return self

    def kill(self):
        """As kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
            self.process = None

    def restart(self):
        self.kill()
        self.start()

    def tell(self, *words):
        """See kafka_admin.c."""
        return command(self.admin, self.plain, *words).stdout.decode()

    def create(self, topic, partitions=1, **settings):
        self.tell('create', topic, partitions, *(f'{k}={v}' for k, v in settings.items()))

    def delete(self, topic):
        self.tell('delete', topic)

    def alter(self, topic, **settings):
        self.tell('alter', topic, *(f'{k}={v}' for k, v in settings.items()))

    def set_password(self, user, password):
        self.java('kafka.admin.ConfigCommand', '--bootstrap-server', self.plain, '--alter', '--entity-type', 'users',
                  '--entity-name', user, '--add-config', f'SCRAM-SHA-512=[password={password}]')

    def set_certificate(self, certificate):
        """Is used from the next start on."""
        shutil.copyfile(certificate, self.keystore)


FORMAT = '%p %o %K %S %h\\n%k%s'


class Record:
    def __init__(self, partition, offset, key, headers, value):
        self.partition, self.offset, self.key, self.headers, self.value = partition, offset, key, headers, value


def consume(brokers, topic, *options):
    """Every record of a topic. options: kcat's, for the secure listener."""
    data = command('kcat', '-C', '-q', '-b', brokers, '-t', topic, '-o', 'beginning', '-e', '-f', FORMAT,
                   *options).stdout
    records, at = [], 0
    while at < len(data):
        end = data.index(b'\n', at)
        partition, offset, key_len, value_len, *rest = data[at:end].split(b' ', 4)
        at, key_len, value_len = end + 1, int(key_len), int(value_len)
        key = None if key_len < 0 else data[at:at + key_len]
        at += max(key_len, 0)
        headers = dict(part.partition('=')[::2] for part in
                       re.split(r',(?=[A-Za-z_.-]+=)', rest[0].decode()) if part) if rest else {}
        records.append(Record(int(partition), int(offset), key, headers, data[at:at + value_len]))
        at += value_len
    return records


def murmur2(data):
    """Kafka's hash of a key."""
    m, mask = 0x5bd1e995, 0xffffffff
    h = (0x9747b28c ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at:at + 4], 'little') * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], 'little')) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key, partitions):
    return (murmur2(key) & 0x7fffffff) % partitions
