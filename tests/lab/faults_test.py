"""The faults are what they say: the proxy, the clock and the network, against real processes."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import clock  # noqa: E402
import network  # noqa: E402
from backing import Redis  # noqa: E402
from proxy import Proxy, Trap  # noqa: E402
from rest import RestService  # noqa: E402
from server import PATIENCE, wait_for  # noqa: E402


class ProxyTest(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.__exit__)
        self.proxy = Proxy((self.redis.host, self.redis.port))
        self.addCleanup(self.proxy.close)

    def connect(self):
        made = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=PATIENCE)
        self.addCleanup(made.close)
        return made

    def ask(self, connection, command=b"PING\r\n", count=7):
        connection.sendall(command)
        data = b""
        while len(data) < count:
            part = connection.recv(count - len(data))
            if not part:
                break
            data += part
        return data

    def test_passes_on(self):
        self.assertEqual(self.ask(self.connect()), b"+PONG\r\n")
        self.assertEqual(len(self.proxy.accepted), 1)

    def test_latency_delays_both_ways_and_keeps_the_order(self):
        self.proxy.latency, self.proxy.jitter = 0.05, 0.02
        connection = self.connect()
        began = time.monotonic()
        data = self.ask(connection, b"PING\r\nECHO a\r\nECHO b\r\n", 21)
        self.assertGreaterEqual(time.monotonic() - began, 0.06)
        self.assertEqual(data, b"+PONG\r\n$1\r\na\r\n$1\r\nb\r\n")

    def test_slices(self):
        self.proxy.slice, self.proxy.gap = 1, 0.005
        began = time.monotonic()
        self.assertEqual(self.ask(self.connect()), b"+PONG\r\n")
        self.assertGreaterEqual(time.monotonic() - began, 0.05)

    def test_bandwidth(self):
        self.redis.cli("set", "k", "v" * 2000)
        self.proxy.bandwidth = 10_000
        began = time.monotonic()
        self.assertEqual(len(self.ask(self.connect(), b"GET k\r\n", 2000)), 2000)
        self.assertGreaterEqual(time.monotonic() - began, 0.1)

    def test_held_replies_leave_the_request_done(self):
        connection = self.connect()
        self.ask(connection)
        self.proxy.hold_replies = True
        connection.sendall(b"SET k v\r\n")
        wait_for(lambda: self.redis.cli("get", "k") == "v", "the command to be done")
        self.assert_silent(connection)
        self.proxy.heal()
        self.assertEqual(connection.recv(100), b"+OK\r\n")

    def assert_silent(self, connection):
        connection.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            connection.recv(100)
        connection.settimeout(PATIENCE)

    def test_only_subscribers_are_held(self):
        listener, other = self.connect(), self.connect()
        self.ask(listener, b"SUBSCRIBE c\r\n", 30)
        self.proxy.hold_subscribers = True
        self.redis.cli("publish", "c", "m")
        self.assert_silent(listener)
        self.assertEqual(self.ask(other), b"+PONG\r\n")
        self.proxy.heal()
        self.assertTrue(listener.recv(100).startswith(b"*3"))

    def test_a_reply_is_lost_after_its_command_was_done(self):
        self.proxy.cut_reply = b":1"
        with self.assertRaises(ConnectionResetError):
            self.ask(self.connect(), b"INCR n\r\n", 4)
        self.assertEqual(self.redis.cli("get", "n"), "1")
        self.assertEqual(self.proxy.cuts, 1)

    def test_a_trap_closes_once_before_a_command_or_after_it(self):
        incr = b"\r\nINCR\r\n"
        for point, done in (({"request": incr}, ""), ({"request": incr, "answered": True}, "1"),
                            ({"reply": b":2"}, "2")):
            happened = []
            trap = Trap(lambda: happened.append(1), **point)
            self.proxy.trap = trap
            connection = self.connect()
            self.assertEqual(self.ask(connection), b"+PONG\r\n")
            self.assertEqual(self.ask(connection, b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", 4), b"")
            self.assertTrue(trap.closed)
            self.assertEqual((self.redis.cli("get", "n"), happened), (done, [1]))
            self.assertEqual(self.ask(self.connect()), b"+PONG\r\n")

    def test_resets(self):
        connection = self.connect()
        self.ask(connection)
        self.proxy.reset_all()
        with self.assertRaises(ConnectionResetError):
            self.ask(connection)
        self.proxy.refuse = True
        with self.assertRaises(ConnectionResetError):
            self.ask(self.connect())

    def test_a_reset_in_the_middle_of_a_reply(self):
        self.redis.cli("set", "k", "v" * 2000)
        self.proxy.reset_every = 1
        try:
            self.assertLess(len(self.ask(self.connect(), b"GET k\r\n", 2000)), 2000)
        except ConnectionResetError:
            pass
        self.assertEqual(self.proxy.cuts, 1)


class RestServiceTest(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.__exit__)
        self.service = RestService((self.redis.host, self.redis.port), "a-token")
        self.service.every = 1
        self.addCleanup(self.service.close)

    def ask(self, body, path="/", token="a-token"):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=PATIENCE)
        self.addCleanup(connection.close)
        connection.request("POST", path, json.dumps(body), {"Authorization": "Bearer " + token})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def test_serves_commands_pipelines_and_transactions(self):
        self.assertEqual(self.ask(["SET", "k", "v"]), (200, b'{"result": "OK"}'))
        self.assertEqual(self.ask([["GET", "k"], ["INCR", "k"]], "/pipeline")[1],
                         b'[{"result": "dg=="}, {"error": "ERR value is not an integer or out of '
                         b'range"}]')
        self.assertEqual(self.ask([["INCR", "n"], ["INCR", "n"]], "/multi-exec")[1],
                         b'[{"result": 1}, {"result": 2}]')
        self.assertEqual(self.ask(["GET", "k"], token="another")[0], 401)

    def test_refuses_without_doing(self):
        for fault, status in (("too_many", 429), ("forbidden", 403)):
            self.service.fault = fault
            self.assertEqual(self.ask(["INCR", "n"])[0], status)
        self.assertEqual(self.redis.cli("get", "n"), "")

    def test_does_and_says_nothing_of_use(self):
        self.service.fault = "server_error"
        self.assertEqual(self.ask(["INCR", "n"])[0], 502)
        self.service.fault = "dropped"
        with self.assertRaises(http.client.RemoteDisconnected):
            self.ask(["INCR", "n"])
        self.service.fault = "wrong_length"
        with self.assertRaises(http.client.IncompleteRead):
            self.ask(["INCR", "n"])
        self.service.fault = "truncated"
        self.assertLess(len(self.ask(["INCR", "n"])[1]), len(b'{"result": 4}'))
        self.assertEqual(self.redis.cli("get", "n"), "4")
        self.service.fault = "reordered"
        self.assertEqual(self.ask([["INCR", "n"], ["GET", "k"]], "/pipeline")[1],
                         b'[{"result": null}, {"result": 5}]')
        self.assertEqual(self.service.bad, 5)


class ClockTest(unittest.TestCase):
    def test_moves_the_wall_clock_of_a_running_process(self):
        made = clock.Clock()
        self.addCleanup(made.__exit__)
        redis = Redis(env={**os.environ, **made.env})
        self.addCleanup(redis.__exit__)
        redis.cli("set", "lock", "a", "px", "60000")
        self.assertAlmostEqual(int(redis.cli("time").split()[0]), time.time(), delta=10)

        made.jump(wall=120)

        self.assertAlmostEqual(int(redis.cli("time").split()[0]), time.time() + 120, delta=10)
        self.assertEqual(redis.cli("get", "lock"), "", "its TTL follows the wall clock")


# Run in a namespace of its own; `here` is this directory.
INSIDE = """
import subprocess
import sys
import time

sys.path[:0] = [{here!r}]
import network

net = network.Network()
one, two = net.host("one"), net.host("two")
ASK = ("import socket; s = socket.create_connection((%r, 7000), 0.7); s.sendall(b'x'); "
       "assert s.recv(1)")
ECHO = ("import socket\\ns = socket.create_server(('', 7000))\\n"
        "while True:\\n c, _ = s.accept(); c.send(c.recv(1)); c.close()")


def reachable(name, address):
    return subprocess.run([*net.prefix(name), sys.executable, "-c", ASK % address],
                          capture_output=True).returncode == 0


def until_reachable(name, address):
    while not reachable(name, address):
        time.sleep(0.05)
    return True


servers = [subprocess.Popen([*net.prefix(n), sys.executable, "-c", ECHO]) for n in ("one", "two")]
try:
    until_reachable("one", two), until_reachable("two", one)
    net.drop("two", "one")
    print("one way", reachable("one", two), end=" ")
    net.heal()
    print("healed", until_reachable("one", two), end=" ")
    net.cut(["one"], ["two"])
    print("cut", reachable("two", one), end=" ")
    net.heal()
    net.unplug("two")
    print("unplugged", reachable("one", two), end=" ")
    net.heal()
    print("healed", until_reachable("one", two))
finally:
    for server in servers:
        server.kill()
        server.wait()
    net.close()
"""


@unittest.skipIf(network.missing(), f"no namespaces: {network.missing()}")
class NetworkTest(unittest.TestCase):
    def test_cuts_and_heals(self):
        done = subprocess.run(["unshare", "--net", "--mount", sys.executable, "-c",
                               INSIDE.format(here=HERE)], capture_output=True, text=True, timeout=2 * PATIENCE)
        self.assertEqual(done.stdout.strip(), "one way False healed True cut False "
                                              "unplugged False healed True", done.stderr)


if __name__ == "__main__":
    unittest.main()
