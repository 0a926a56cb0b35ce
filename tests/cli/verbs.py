#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The verbs of `penstock` that talk to a daemon, and `check`: output, JSON and exit status."""
import datetime
import json
import os
import socket as sockets
import subprocess
import sys
import tempfile
import unittest
import urllib.request

PENSTOCK, FAKE, ROOT = sys.argv[1:4]


SMALL = """
node: t
dataplane: {lcores: [0], hugepages: off}
sources: [{name: s, type: file, path: /dev/null, stream: a}]
sinks: {kafka: {bootstrap: embedded}}
streams:
  - {name: a, identity: id, fields: {id: {type: string}}, output: {raw: r, enriched: e, dead_letter: d}}
"""


class Daemon:
    def __enter__(self):
        self.process = subprocess.Popen([FAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.socket, self.port = self.process.stdout.readline().split()
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.stdout.close()
        if self.process.wait(timeout=30) != 0:
            raise AssertionError("the fake daemon failed")


def run(*words, socket=None, **more):
    env = dict(os.environ, **more.pop("env", {}))
    env.pop("PENSTOCK_SOCKET", None)
    if socket is not None:
        env["PENSTOCK_SOCKET"] = socket
    done = subprocess.run([PENSTOCK, *words], capture_output=True, text=True, env=env, timeout=60, check=False, **more)
    return done.returncode, done.stdout, done.stderr


class Offline(unittest.TestCase):
    def test_usage(self):
        code, out, err = run()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("Usage: penstock", err)
        for words in (["nonsense"], ["dim"], ["dim", "nonsense"], ["status", "--nonsense"], ["status", "word"], ["check"],
                      ["top", "--interval", "x"], ["dump", "--read", "a", "-o", "b"], ["dump", "--json"],
                      ["dim", "push"], ["dim", "rollback", "../x"], ["source", "add"], ["source", "add", "x"],
                      ["source", "revoke", "-1"], ["source", "add", "1", "--key-file", "a", "--keep-keys"],
                      ["source", "add", "1", "--rate", "x"]):
            code, out, err = run(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertTrue(err, words)
        self.assertEqual(run("dim", "nonsense")[2].split(": ")[1], 'there is no "nonsense", but')

    def test_help_and_version(self):
        for words in (["--help"], ["-h"], ["help"]):
            code, out, err = run(*words)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("dim push", out)
            self.assertIn("dlq replay", out)
        code, out, _ = run("version", "--json")
        self.assertEqual(code, 0)
        self.assertEqual(run("version")[1], "penstock " + json.loads(out)["version"] + "\n")
        self.assertEqual(run("--version")[1], run("version")[1])

    def test_check(self):
        for name in ("catalog", "detections", "shop"):
            path = f"{ROOT}/docs/examples/{name}.yaml"
            code, out, err = run("check", path)
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.startswith(f"{path}: ok (1 stream, 1 source, "), out)
            self.assertTrue(json.loads(run("check", path, "--json")[1])["ok"])
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            with open(f"{ROOT}/docs/examples/catalog.yaml", encoding="utf-8") as example:
                file.write(example.read().replace("^user-[a-z0-9]", "^user-(a-z0-9"))
            file.flush()
            code, out, err = run("check", file.name)
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, r"^%s:\d+:\d+: .*stream \"catalog\"" % file.name)
            file.write("nodes: x\n")
            file.flush()
            code, out, err = run("check", file.name)
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, r'^%s:\d+:1: unknown key "nodes", did you mean "node"\?\n$' % file.name)
            code, out, err = run("check", "--json", file.name)
            self.assertEqual((code, err), (1, ""))
            self.assertFalse(json.loads(out)["ok"])
        self.assertEqual(run("check", "/nonexistent")[0], 1)

    def test_explain_names_the_identity(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(SMALL)
            file.flush()
            for event, identity in (('{"id":"x\\u0041"}', "xA"), ('{"id":null}', "(all bytes of the event)"),
                                    ('{"n":1}', "(all bytes of the event)")):
                code, out, err = run("explain", "--config", file.name, "--json", input=event)
                self.assertEqual((code, json.loads(out)["identity"]), (0, identity), err)

    def test_explain_reads_its_options(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(SMALL + "dimensions: {users: {}}\n")
            file.flush()
            command = ("explain", "--config", file.name)
            event = '{"id":"x"}'
            for words, text in ((["--dimension", "users"], "--dimension takes NAME=FILE, at most "),
                                (["--dimension", "a=b", "--dimension=users"], "--dimension takes NAME=FILE, at most "),
                                (["--partitions", "0"], '--partitions: "0" is not a whole number from 1 to '),
                                (["--json", "--json"], "--json is given twice"),
                                (["extra"], 'unexpected word "extra"')):
                code, out, err = run(*command, *words, input=event)
                self.assertEqual((code, out), (2, ""), words)
                self.assertTrue(err.startswith(f"penstock explain: {text}"), err)
            self.assertEqual(run("explain", input=event)[2].splitlines()[0], "penstock explain: --config FILE is needed")
            # Each is read, not only the first or the last.
            known, unknown = ["--dimension", "users=/nonexistent"], ["--dimension", "no=x"]
            for words in (known + unknown, unknown + known, ["--dimension=no=x"] + known):
                code, out, err = run(*command, *words, input=event)
                self.assertEqual((code, out, err), (1, "", "penstock explain: --dimension no: the configuration has no such "
                                                           "dimension\n"))
            for event, reason in (("", "holds no event"), ("{}\n{}\n", "holds more than one line: explain takes one event"),
                                  ("x" * (1 << 21), "is longer than 1 MiB")):
                self.assertEqual(run(*command, input=event), (1, "", f"penstock explain: standard input {reason}\n"))

    def test_no_daemon(self):
        for words in (["status"], ["top", "--once"], ["stats"], ["dump", "-o", "/dev/null"], ["drain"], ["dim", "list"],
                      ["dim", "rollback", "x"]):
            code, out, err = run(*words, "--socket", "/nonexistent/s")
            self.assertEqual((code, out), (1, ""), words)
            self.assertEqual(err.split(": ", 1)[1], "no daemon answers at /nonexistent/s: No such file or directory\n")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PENSTOCK, "--help"], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)


class Online(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.daemon.__enter__()
        self.addCleanup(self.daemon.__exit__)
        self.socket = self.daemon.socket

    def test_finds_the_socket(self):
        self.assertEqual(run("status", "--socket", self.socket)[0], 0)
        self.assertEqual(run("--socket", self.socket, "status")[0], 0)
        self.assertEqual(run("status", socket=self.socket)[0], 0)
        self.assertEqual(run("status", "--socket", self.socket, socket="/nonexistent")[0], 0)

    def test_status(self):
        code, out, err = run("status", socket=self.socket)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("1,234,567", out)
        self.assertIn("up 1d 02:03:04", out)
        self.assertNotIn("\033", out)
        self.assertIn("alarm: dedup_window_short catalog: raise budget_mb", out)
        self.assertRegex(out.splitlines()[-1], r"^conserved: yes received=\d+ durable=\d+ dead_lettered=20 duplicate=30 "
                                               r"shed=0 in_flight=50$")
        status = json.loads(run("status", "--json", socket=self.socket)[1])
        stream = status["streams"][0]
        self.assertEqual(stream["received"], sum(stream[k] for k in
                                                 ("durable", "dead_lettered", "duplicate", "shed", "in_flight")))
        self.assertEqual(status["control"]["socket"], self.socket)
        self.assertEqual(status["control"]["http"], "127.0.0.1:" + self.daemon.port)

    def test_stats(self):
        stats = json.loads(run("stats", "--json", socket=self.socket)[1])
        values = {(s["name"], tuple(s["labels"].values())): s["value"] for s in stats}
        self.assertEqual(values["penstock_event_drops_total", ("catalog", "json_syntax")], 15)
        self.assertEqual(values["penstock_frame_drops_total", ("0", "frame_unknown_port")], 4)
        self.assertEqual(values["penstock_dedup_window_seconds", ("catalog",)], 600.0)
        self.assertEqual(values["penstock_ready", ()], 1)
        code, out, _ = run("stats", "sink", socket=self.socket)
        self.assertEqual(code, 0)
        self.assertEqual(len(out.splitlines()), 4)

    def test_metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.port}/metrics", timeout=30) as answer:
            text = answer.read()
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        self.assertIn(b'penstock_dimension_rows{dimension="products"} 1000000\n', text)
        self.assertIn(b'penstock_info{node="n-1",version="0.1.0"} 1\n', text)

    def test_top(self):
        code, out, err = run("top", "--iterations", "2", "--interval", "0.05", "--json", socket=self.socket)
        self.assertEqual((code, err), (0, ""))
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(lines), 2)
        for line in lines:
            stream, worker = line["streams"][0], line["workers"][0]
            self.assertAlmostEqual(stream["received_per_s"] * line["seconds"], 1000, delta=1)
            self.assertEqual(stream["shed_per_s"], 0)
            self.assertAlmostEqual(worker["busy"], 0.25)
            self.assertAlmostEqual(worker["stages"][0]["ns_per_event"], 50, delta=0.01)
        code, out, err = run("top", "--once", "--interval", "0.05", socket=self.socket)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("25.0%", out)
        self.assertNotIn("\033", out)

    def test_dump(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory + "/d.pstel"
            code, out, err = run("dump", "-o", path, socket=self.socket)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(out, f"{path}: {os.path.getsize(path)} bytes\n")
            dump = json.loads(run("dump", "--read", path, "--json")[1])
            self.assertEqual(dump["node"], "n-1")
            self.assertEqual(dump["cycles_per_second"], 2000000000)
            self.assertEqual(dump["streams"][0]["reasons"]["json_syntax"], 15)
            self.assertEqual(dump["workers"][0]["frame_reasons"], {"frame_unknown_port": 4})
            self.assertEqual(dump["workers"][0]["packet_bytes"], 300000)
            self.assertEqual(dump["dimensions"][0]["version"], 'v"7')
            self.assertIsNone(dump["dimensions"][1]["version"])
            self.assertEqual(dump["sinks"][0]["retries"], 1)
            self.assertEqual(dump["dedup"][0]["window_ms"], 600000)
            text = run("dump", "--read", path)[1]
            self.assertIn("streams[catalog].reasons.json_syntax", text)
            time = datetime.datetime.fromtimestamp(dump["time_ms"] / 1000, datetime.timezone.utc)
            self.assertRegex(text, rf"(?m)^time +{time.isoformat(timespec='milliseconds')[:23]}Z$")
            with open(path, "r+b") as file:
                file.truncate(os.path.getsize(path) // 2)
            code, out, err = run("dump", "--read", path)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(path, err)
            self.assertEqual(run("dump", "-o", directory + "/no/such", socket=self.socket)[0], 1)
            self.assertEqual(os.listdir(directory), ["d.pstel"])

    def test_send_follows_the_ledger(self):
        # This daemon's ledger moves with every look at it.
        with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            to = f"127.0.0.1:{receiver.getsockname()[1]}"
            words = ("send", "--to", to, "--rate", "max", "--window", "1000", "--json")
            code, out, err = run(*words, "--follow", self.socket, input="{}\n" * 3000)
            self.assertEqual((code, json.loads(out)["events"]), (0, 3000), err)
            code, out, err = run(*words, "--follow", "/nonexistent", input="{}\n")
            self.assertEqual((code, out), (1, ""))
            self.assertIn("no daemon answers at /nonexistent", err)

    def test_dimensions(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory + "/products.dim"
            with open(path, "w") as file:
                file.write("rows")
            code, out, err = run("dim", "push", path, "--name", "products", socket=self.socket)
            self.assertEqual((code, out, err), (0, "products: version v8, 1,000,001 rows\n", ""))
            self.assertEqual(json.loads(run("dim", "push", path, "--name", "products", "--json", socket=self.socket)[1])["rows"], 1000001)
            code, out, err = run("dim", "push", path, "--name", "users", socket=self.socket)
            self.assertEqual((code, out, err), (1, "", 'penstock dim push: no dimension is called "users"\n'))
            with open(path, "w") as file:
                file.write("bad")
            code, out, err = run("dim", "push", path, "--name", "products", socket=self.socket)
            self.assertEqual((code, out, err), (1, "", "penstock dim push: the checksum of the rows is wrong\n"))
            self.assertEqual(run("dim", "push", directory + "/none.dim", socket=self.socket)[0], 1)
            self.assertEqual(run("dim", "push", directory, "--name", "products", socket=self.socket)[0], 1)
        self.assertEqual(run("dim", "rollback", "products", socket=self.socket)[:2],
                         (0, "products: version v6, 999,999 rows\n"))
        listed = json.loads(run("dim", "list", "--json", socket=self.socket)[1])
        self.assertEqual([d["name"] for d in listed], ["products", "users"])
        self.assertIn("(none)", run("dim", "list", socket=self.socket)[1])

    def test_sources(self):
        code, out, err = run("source", "ls", socket=self.socket)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^ +42  listed +1,2 +1,000 ")
        self.assertRegex(out, r"(?m)^18446744073709551615  revoked ")
        self.assertEqual(json.loads(run("source", "ls", "--json", socket=self.socket)[1])[0]["key_ids"], [1, 2])
        keys = [run("source", "add", "42", socket=self.socket)[1] for _ in range(2)]
        self.assertRegex(keys[0], r"^7:[0-9a-f]{64}\n$")
        self.assertNotEqual(*keys)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(keys[0])
            file.flush()
            code, out, err = run("source", "add", "42", "--key-file", file.name, "--rate", "5", "--json", socket=self.socket)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(json.loads(out)["rate"], 5)
            self.assertNotIn("key", json.loads(out))
            file.write(keys[1])
            file.flush()
            self.assertEqual(run("source", "add", "42", "--key-file", file.name, socket=self.socket)[:2], (1, ""))
        self.assertEqual(run("source", "add", "42", "--keep-keys", socket=self.socket)[:2], (0, "source 42: listed\n"))
        self.assertEqual(run("source", "add", "43", socket=self.socket), (1, "", "penstock source add: no more fit\n"))
        self.assertEqual(run("source", "revoke", "42", socket=self.socket), (0, "source 42: revoked\n", ""))
        self.assertEqual(run("source", "revoke", "44", socket=self.socket),
                         (1, "", "penstock source revoke: source 44 is not listed\n"))

    def test_drain(self):
        code, out, err = run("drain", "--wait", socket=self.socket)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.splitlines()[-1], "stopped")
        self.assertEqual(self.daemon.process.wait(timeout=30), 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
