"""Requests that are wrong as HTTP: refused and hung up on, at once, in bounded memory."""

import threading
import time
import unittest

from server import Raw, ServerTest, wait_for

MIB = 1 << 20
MEMORY_MARGIN = 48 * MIB

# What a second reader might take for a request of its own; it must never be answered.
SMUGGLED = b"GET /status HTTP/1.1\r\nHost: smuggled\r\n\r\n"


def get(*fields, target=b"/livez", version=b"HTTP/1.1", host=b"Host: a\r\n"):
    return b"GET " + target + b" " + version + b"\r\n" + host + b"".join(fields) + b"\r\n"


def post(*fields, body=b""):
    return b"POST /livez HTTP/1.1\r\nHost: a\r\n" + b"".join(fields) + b"\r\n" + body


def chunked(body):
    return post(b"Transfer-Encoding: chunked\r\n", body=body)


# Two readers could disagree about where these end (RFC 9112 section 6.3, 7.1, 11.2).
SMUGGLING = {
    "length and chunked": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                               body=b"0\r\n\r\n"),
    "chunked and length": post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                               body=b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: 40\r\n"),
    "two equal lengths": post(b"Content-Length: 0\r\nContent-Length: 0\r\n"),
    "listed lengths": post(b"Content-Length: 0, 40\r\n"),
    "listed equal lengths": post(b"Content-Length: 0, 0\r\n"),
    "signed length": post(b"Content-Length: +0\r\n"),
    "negative length": post(b"Content-Length: -1\r\n"),
    "hexadecimal length": post(b"Content-Length: 0x0\r\n"),
    "length with a fraction": post(b"Content-Length: 0.0\r\n"),
    "length with a space inside": post(b"Content-Length: 0 0\r\n"),
    "length with an underscore": post(b"Content-Length: 0_0\r\n"),
    "empty length": post(b"Content-Length:\r\n"),
    "quoted length": post(b'Content-Length: "0"\r\n'),
    "length beyond 64 bits": post(b"Content-Length: 18446744073709551616\r\n"),
    "length of 400 digits": post(b"Content-Length: " + b"9" * 400 + b"\r\n"),
    "space before the colon": post(b"Content-Length : 0\r\n"),
    "tab before the colon": post(b"Transfer-Encoding\t: chunked\r\n", body=b"0\r\n\r\n"),
    "underscore for a dash": post(b"Transfer-Encoding : chunked\r\n", body=b"0\r\n\r\n"),
    "xchunked": post(b"Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n"),
    "chunked, identity": post(b"Transfer-Encoding: chunked, identity\r\n", body=b"0\r\n\r\n"),
    "identity": post(b"Transfer-Encoding: identity\r\n"),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", body=b"0\r\n\r\n"),
    "chunked twice": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                          body=b"0\r\n\r\n"),
    "chunked, chunked": post(b"Transfer-Encoding: chunked, chunked\r\n", body=b"0\r\n\r\n"),
    "quoted chunked": post(b'Transfer-Encoding: "chunked"\r\n', body=b"0\r\n\r\n"),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;q=1\r\n", body=b"0\r\n\r\n"),
    "chunked after vertical tab": post(b"Transfer-Encoding: \x0bchunked\r\n", body=b"0\r\n\r\n"),
    "chunked with NUL": post(b"Transfer-Encoding: chunked\x00\r\n", body=b"0\r\n\r\n"),
    "chunked, trailing comma": post(b"Transfer-Encoding: chunked,\r\n", body=b"0\r\n\r\n"),
    "empty coding": post(b"Transfer-Encoding:\r\n", body=b"0\r\n\r\n"),
    "folded coding": post(b"Transfer-Encoding:\r\n chunked\r\n", body=b"0\r\n\r\n"),
    "chunked in HTTP/1.0": b"POST /livez HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"0\r\n\r\n",
    "bare LF ends a field": b"GET /livez HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare LF ends the head": b"GET /livez HTTP/1.1\r\nHost: a\r\n\n",
    "bare LF throughout": b"GET /livez HTTP/1.1\nHost: a\n\n",
    "bare CR in a value": get(b"X: a\rContent-Length: 40\r\n"),
    "bare CR ends a field": b"GET /livez HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "CR CR LF": b"GET /livez HTTP/1.1\r\r\nHost: a\r\n\r\n",
    "folded field": get(b"X: a\r\n b\r\n"),
    "folded first field": b"GET /livez HTTP/1.1\r\n Host: a\r\n\r\n",
    "chunk size with 0x": chunked(b"0x0\r\n\r\n"),
    "chunk size signed": chunked(b"+0\r\n\r\n"),
    "chunk size negative": chunked(b"-1\r\n\r\n"),
    "chunk size with a leading space": chunked(b" 0\r\n\r\n"),
    "chunk size empty": chunked(b"\r\n0\r\n\r\n"),
    "chunk size with an underscore": chunked(b"0_0\r\n\r\n"),
    "chunk size in letters": chunked(b"zero\r\n\r\n"),
    "chunk size beyond 32 bits": chunked(b"100000000\r\n\r\n"),
    "chunk size beyond 64 bits": chunked(b"10000000000000000\r\n\r\n"),
    "chunk size that wraps to nothing": chunked(b"FFFFFFFFFFFFFFFF\r\n\r\n"),
    "chunk size ended by bare LF": chunked(b"0\n\r\n"),
    "chunk size ended by bare CR": chunked(b"0\r\r\n"),
    "chunk data longer than its size": chunked(b"1\r\nab\r\n0\r\n\r\n"),
    "chunk data not ended": chunked(b"1\r\na0\r\n\r\n"),
    "chunk data ended by bare LF": chunked(b"1\r\na\n0\r\n\r\n"),
    "chunk extension with bare LF": chunked(b"0;a\n\r\n"),
    "chunk extension with bare CR": chunked(b"0;a\rb\r\n\r\n"),
    "chunk extension of 300 bytes": chunked(b"0;" + b"a" * 300 + b"\r\n\r\n"),
    "trailer ended by bare LF": chunked(b"0\r\nX: y\n\r\n"),
    "trailer section ended by bare LF": chunked(b"0\r\n\n"),
}

MALFORMED = {
    "no version": b"GET /livez\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "only a method": b"GET\r\n\r\n",
    "two spaces": b"GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces before the version": b"GET /livez  HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab for a space": b"GET\t/livez\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a space after the version": b"GET /livez HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a space first": b" GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "lower case version": b"GET /livez http/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.10": get(version=b"HTTP/1.10"),
    "HTTP/2.0": get(version=b"HTTP/2.0"),
    "HTTP/3": get(version=b"HTTP/3"),
    "HTTP/01.1": get(version=b"HTTP/01.1"),
    "HTTPS/1.1": get(version=b"HTTPS/1.1"),
    "HTTP/1.": get(version=b"HTTP/1."),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS on the clear port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 +
                             b"\r\n\r\n",
    "NULs": b"\x00" * 64 + b"\r\n\r\n",
    "binary": bytes(range(128, 256)) * 4 + b"\r\n\r\n",
    "method with a parenthesis": b"GE(T /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "method with a NUL": b"GE\x00T /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "method in UTF-8": "GÉT /livez HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "target with a NUL": get(target=b"/liv\x00ez"),
    "target with a control": get(target=b"/liv\x01ez"),
    "target with DEL": get(target=b"/liv\x7fez"),
    "target with a fragment": get(target=b"/livez#a"),
    "target without a slash": get(target=b"livez"),
    "target with a back slash first": get(target=b"\\livez"),
    "authority for GET": get(target=b"a:80"),
    "asterisk for GET": get(target=b"*"),
    "absolute target of another host": get(target=b"http://b/livez"),
    "absolute target with user information": get(target=b"http://u:p@a/livez"),
    "no Host": get(host=b""),
    "two Hosts": get(host=b"Host: a\r\nHost: b\r\n"),
    "two equal Hosts": get(host=b"Host: a\r\nHost: a\r\n"),
    "Host with a path": get(host=b"Host: a/b\r\n"),
    "Host with user information": get(host=b"Host: u@a\r\n"),
    "Host with a space": get(host=b"Host: a b\r\n"),
    "listed Host": get(host=b"Host: a, b\r\n"),
    "Host with a bad port": get(host=b"Host: a:b\r\n"),
    "field without a colon": get(b"Nothing\r\n"),
    "field without a name": get(b": value\r\n"),
    "field name with a space": get(b"X Y: z\r\n"),
    "field name with a NUL": get(b"X\x00: z\r\n"),
    "field name in UTF-8": get("É: z\r\n".encode()),
    "field name with a slash": get(b"X/Y: z\r\n"),
    "field name in brackets": get(b"[X]: z\r\n"),
    "value with a NUL": get(b"X: a\x00b\r\n"),
    "value with a control": get(b"X: a\x01b\r\n"),
    "value with DEL": get(b"X: a\x7fb\r\n"),
    "unknown expectation": get(b"Expect: 200-maybe\r\n"),
}

OVERSIZE = {
    "request line": get(target=b"/" + b"a" * 70_000),
    "method": b"A" * 70_000 + b" /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "field value": get(b"X: " + b"a" * 70_000 + b"\r\n"),
    "field name": get(b"X" * 70_000 + b": a\r\n"),
    "field count": get(b"".join(b"X-%d: a\r\n" % i for i in range(500))),
    "empty fields by the thousand": get(b"X:\r\n" * 20_000),
    "head": get(b"".join(b"X-%d: %s\r\n" % (i, b"a" * 1000) for i in range(90))),
    "body": post(b"Content-Length: 2000000\r\n", body=b"a" * 100_000),
    "announced body": post(b"Content-Length: 9999999999\r\n"),
    "chunked body": chunked(b"80000\r\n" + b"a" * 0x80000 + b"\r\n80000\r\n" + b"a" * 0x80000 +
                            b"\r\n1\r\na\r\n0\r\n\r\n"),
    "announced chunk": chunked(b"FFFFFFFF\r\n"),
    "endless trailers": chunked(b"0\r\n" + b"X: y\r\n" * 200_000),
    "one endless trailer": chunked(b"0\r\nX: " + b"y" * 1_000_000),
    "extension with every chunk": chunked(b"1;" + b"e" * 250 + b"\r\na\r\n") +
                                  (b"1;" + b"e" * 300 + b"\r\na\r\n") * 100,
    "chunks of nothing after the last": chunked(b"0\r\n\r\n" * 50_000),
}


class Malformed(ServerTest):
    def setUp(self):
        self.memory_before = self.redoubt.memory_peak()

    def tearDown(self):
        self.assertEqual(self.redoubt.get("/livez", key=None).status, 200)
        self.assertLess(self.redoubt.memory_peak(), self.memory_before + MEMORY_MARGIN)

    def assert_refused(self, name, data, answers=1):
        """One answer that is a refusal, then the end, whatever followed."""
        with self.subTest(name), self.redoubt.connect() as raw:
            sender = raw.send_beside(data)
            replies = raw.read_to_end()
            sender.join()
            self.assertEqual(len(replies), answers, replies)
            self.assertGreaterEqual(replies[-1].status, 400, replies)
            self.assertEqual(replies[-1].headers["Connection"], "close", replies)
            self.assert_problem(replies[-1], replies[-1].status)
            self.assertNotEqual(replies[-1].status, 500)

    def test_what_two_readers_could_understand_differently_is_refused(self):
        for name, request in SMUGGLING.items():
            self.assert_refused(name, request + SMUGGLED)

    def test_what_is_not_http_is_refused(self):
        for name, request in MALFORMED.items():
            self.assert_refused(name, request + SMUGGLED)

    def test_what_is_too_large_is_refused(self):
        for name, request in OVERSIZE.items():
            # What comes after a whole request is the next one: here no request.
            answers = 2 if name in ("chunks of nothing after the last",) else 1
            self.assert_refused(name, request, answers)

    def test_statuses_say_what_was_wrong(self):
        for name, request, status in (
                ("version", MALFORMED["HTTP/2.0"], 505),
                ("request line", OVERSIZE["request line"], 414),
                ("head", OVERSIZE["field count"], 431),
                ("body", OVERSIZE["announced body"], 413),
                ("transfer coding", SMUGGLING["gzip, chunked"], 400),
                ("expectation", MALFORMED["unknown expectation"], 417),
                ("smuggling", SMUGGLING["length and chunked"], 400)):
            with self.subTest(name), self.redoubt.connect() as raw:
                raw.send(request)
                self.assertEqual(raw.read_to_end()[0].status, status)

    def test_every_prefix_of_a_bad_request_ends_when_the_client_does(self):
        request = SMUGGLING["length and chunked"]
        for length in range(1, len(request), 7):
            with self.redoubt.connect() as raw:
                raw.send(request[:length])
        wait_for(lambda: self.redoubt.metric("redoubt_connections", state="open") <= 1,
                 "connections of clients that left to be let go")


class Odd(ServerTest):
    """What is unusual and still right."""

    def test_requests_byte_by_byte_are_read(self):
        with self.redoubt.connect() as raw:
            for byte in get(b"X: y\r\n"):
                raw.send(bytes([byte]))
            self.assertEqual(raw.read(1)[0].status, 200)

    def test_bodies_in_chunks_are_read(self):
        body = b"".join(b"1;x=y\r\n%c\r\n" % c for c in b'{"user":"ada"}')
        with self.redoubt.connect() as raw:
            raw.send(b"POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                     b"Content-Type: application/json\r\nAuthorization: Bearer " +
                     self.redoubt.admin_key.encode() + b"\r\n\r\n" + body +
                     b"0\r\nX-Trailer: dropped\r\n\r\n")
            self.assertEqual(raw.read(1)[0].status, 201)

    def test_expectations_are_answered_before_the_body(self):
        with self.redoubt.connect() as raw:
            raw.send(post(b"Content-Length: 2\r\nExpect: 100-continue\r\n"))
            self.assertEqual(raw.read(1)[0].status, 100)
            raw.send(b"{}")
            self.assertEqual(raw.read(1)[0].status, 405)

    def test_http_1_0_closes_unless_asked_to_stay(self):
        with self.redoubt.connect() as raw:
            raw.send(get(b"Connection: keep-alive\r\n", version=b"HTTP/1.0"))
            self.assertEqual(raw.read(1)[0].status, 200)
            raw.send(get(version=b"HTTP/1.0"))
            self.assertEqual([reply.status for reply in raw.read_to_end()], [200])

    def test_head_has_no_body(self):
        with self.redoubt.connect() as raw:
            raw.send(b"HEAD /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while raw._receive():
                pass
            self.assertIn(b"Content-Length: 3\r\n", raw.rest)
            self.assertTrue(raw.rest.endswith(b"\r\n\r\n"), raw.rest)

    def test_ten_thousand_pipelined_requests_are_answered_in_order(self):
        before = self.redoubt.memory_peak()
        with self.redoubt.connect() as raw:
            sender = raw.send_beside(b"".join(
                get(b"X-Request-ID: %d\r\n" % i, target=b"/livez" if i % 2 else b"/nowhere")
                for i in range(10_000)))
            replies = raw.read(10_000)
            sender.join()
        self.assertEqual([reply.headers["X-Request-ID"] for reply in replies],
                         [str(i) for i in range(10_000)])
        self.assertEqual({reply.status for reply in replies[1::2]}, {200})
        self.assertEqual({reply.status for reply in replies[::2]}, {404})
        self.assertLess(self.redoubt.memory_peak(), before + MEMORY_MARGIN)

    def test_pipelined_writes_take_effect_in_order(self):
        head = (b"PUT /api/v1/cache/entries/k HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " +
                self.redoubt.admin_key.encode() + b"\r\n")
        with self.redoubt.connect() as raw:
            for i in range(200):
                body = b"%d" % i
                raw.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self.assertEqual({reply.status for reply in raw.read(200)}, {200})
        self.assertEqual(self.redoubt.get("/api/v1/cache/entries/k").body, "199")


class Slow(ServerTest):
    env = {"REDOUBT_HEADER_TIMEOUT": "1s", "REDOUBT_BODY_TIMEOUT": "1s", "REDOUBT_KEEP_ALIVE": "1s",
           "REDOUBT_WRITE_TIMEOUT": "1s"}

    def assert_hung_up(self, raw, *statuses):
        replies = raw.read_to_end()
        self.assertEqual([reply.status for reply in replies], list(statuses))

    def test_heads_that_drip_are_cut_and_others_do_not_notice(self):
        slow = [self.redoubt.connect() for _ in range(300)]
        for raw in slow:
            self.addCleanup(raw.close)
            raw.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
        stop = threading.Event()

        def drip():
            while not stop.wait(0.2):
                for raw in slow:
                    raw.send(b"X: y\r\n")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        try:
            worst = 0.0
            for _ in range(50):
                started = time.monotonic()
                self.assertEqual(self.redoubt.get("/livez", key=None).status, 200)
                worst = max(worst, time.monotonic() - started)
            self.assertLess(worst, 2.0)
            for raw in slow:
                while raw._receive():
                    pass
        finally:
            stop.set()
            dripping.join()
        self.assertGreaterEqual(self.redoubt.metric("redoubt_connections_timed_out_total"), 300)

    def test_bodies_that_do_not_come_are_given_up(self):
        for name, request in (("length", post(b"Content-Length: 100\r\n", body=b"{")),
                              ("chunked", chunked(b"5\r\nab"))):
            with self.subTest(name), self.redoubt.connect() as raw:
                raw.send(request)
                self.assert_hung_up(raw, 408)

    def test_idle_connections_are_closed_without_a_word(self):
        with self.redoubt.connect() as raw:
            raw.send(get())
            self.assert_hung_up(raw, 200)

    def test_silence_from_the_first_byte_is_closed(self):
        with self.redoubt.connect() as raw:
            self.assert_hung_up(raw)

    def test_readers_that_do_not_read_are_cut(self):
        before = self.redoubt.metric("redoubt_connections_timed_out_total")
        with Raw(self.redoubt.port) as raw:
            sender = raw.send_beside(get(target=b"/openapi.json") * 1000)
            wait_for(lambda: self.redoubt.metric("redoubt_connections_timed_out_total") > before,
                     "the connection to be cut")
            sender.join()
        self.assertLess(self.redoubt.memory_peak(), 128 * MIB)


if __name__ == "__main__":
    unittest.main()
