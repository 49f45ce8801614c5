"""Every string of every operation, filled with what breaks programs; JSON that breaks parsers."""

import json
import unittest
from urllib.parse import quote

from contract import as_json, operations
from server import ServerTest

NASTY = {
    "colon": b":",
    "asterisk": b"*",
    "braces": b"{}",
    "a hash tag": b"{user}:x",
    "brackets": b"[a-z]",
    "escaped NUL": b"%00",
    "a lone percent": b"%",
    "a bad escape": b"%zz",
    "NUL": b"a\x00b",
    "CR LF": b"a\r\nX-Injected: 1\r\n\r\n",
    "escape": b"\x1b[2J",
    "right-to-left override": "\u202egnp.exe".encode(),
    "zero width": "a\u200bb".encode(),
    "byte order mark": "\ufeffa".encode(),
    "not the same e": "cafe\u0301".encode(),
    "beyond the basic plane": "\U0001d11e".encode(),
    "a noncharacter": "\uffff".encode(),
    "dots": b"..",
    "a way out": b"../../../../etc/passwd",
    "a slash": b"/",
    "a back slash": b"\\",
    "a quote": b"'; DROP TABLE sessions; --",
    "a double quote": b'"',
    "nothing": b"",
    "a space": b" ",
    "not UTF-8": b"\xff\xfe",
    "overlong slash": b"\xc0\xaf",
    "overlong NUL": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "cut short": b"\xe2\x82",
    "a number": b"18446744073709551616",
    "format": b"%s%n{0}${jndi:x}",
    "513 bytes": b"a" * 513,
    "a megabyte": b"a" * (1 << 20),
}

TRANSPORT = (413, 414, 431)  # Too large to be looked at.


class BadInput(ServerTest):
    def setUp(self):
        self.raw = self.redoubt.connect()
        self.addCleanup(lambda: self.raw.close())

    def send(self, method, target, headers, body):
        lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: a",
                 b"Authorization: Bearer " + self.redoubt.admin_key.encode()]
        for name, value in headers.items():
            lines.append(name.encode() + b": " + (value if isinstance(value, bytes)
                                                  else value.encode()))
        if body is not None:
            lines.append(b"Content-Length: %d" % len(body))
        self.raw.send_beside(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))
        replies = self.raw.read(1)
        if not replies or replies[0].headers["Connection"] == "close":
            self.raw.close()
            self.raw = self.redoubt.connect()
        self.assertEqual(len(replies), 1, f"no answer to {method} {target[:80]}")
        return replies[0]

    def assert_sane(self, reply, field):
        self.assertLess(reply.status, 500, reply)
        self.assertNotIn("X-Injected", reply.headers)
        if reply.status < 400:
            return
        if reply.headers["Content-Type"] == "application/json":
            self.assertIs(reply.json["allowed"], False)  # A verdict, in its own shape.
            return
        self.assert_problem(reply, reply.status)
        if reply.status != 400 or reply.json["code"] in ("json_invalid", "http_refused"):
            return
        where = [error["location"] for error in reply.json.get("errors", [])]
        wire = field.name.lower().replace("-", "_")
        named = any(wire in place.lower().replace("-", "_") for place in where) or (
            field.where == "path" and where == ["path"])
        self.assertTrue(named, f"{where} does not name {field}: {reply}")

    def test_no_string_of_any_operation_breaks_anything(self):
        tried = 0
        for operation in operations(self.redoubt):
            for field in filter(lambda f: f.is_text, operation.fields()):
                if field.name == "Idempotency-Key" and operation.id != "sessions.create":
                    continue  # It is read in one place for all of them.
                for name, value in NASTY.items():
                    if field.where == "header" and b"\r\n" in value:
                        continue  # Would be two fields, not a value.
                    with self.subTest(operation=operation.id, field=str(field), value=name):
                        reply = self.send(*operation.request(field, value))
                        self.assert_sane(reply, field)
                        if name == "a megabyte":
                            self.assertIn(reply.status, (400,) + TRANSPORT, reply)
                        tried += 1
        self.assertGreater(tried, 1500)
        self.assertEqual(self.redoubt.metric("redoubt_http_requests_total", status="500"), 0)

    def test_wrong_types_are_named(self):
        for operation in operations(self.redoubt):
            for field in operation.fields():
                if field.where != "body" or not field.schema.get("type"):
                    continue
                for value in ([], {}, None, 1.5, "\u0000", True, -1, 10**40):
                    with self.subTest(operation=operation.id, field=str(field), value=value):
                        reply = self.send(*operation.request(field, value))
                        self.assert_sane(reply, field)

    def test_unknown_members_and_parameters_are_named(self):
        for operation in operations(self.redoubt):
            with self.subTest(operation=operation.id):
                method, target, headers, body = operation.request()
                odd = target + ("&" if "?" in target else "?") + "nonsense=1"
                reply = self.send(method, odd, headers, body)
                self.assert_problem(reply, 400)
                self.assertIn("query.nonsense", [e["location"] for e in reply.json["errors"]])
                if not operation.body_schema:
                    continue
                odd = json.dumps({**json.loads(body), "nonsense": 1}).encode()
                reply = self.send(method, target, headers, odd)
                self.assert_problem(reply, 400)
                self.assertIn("body.nonsense", [e["location"] for e in reply.json["errors"]])

    def test_required_members_are_named(self):
        for operation in operations(self.redoubt):
            required = (operation.body_schema or {}).get("required", [])
            if not required:
                continue
            with self.subTest(operation=operation.id):
                method, target, headers, _ = operation.request()
                reply = self.send(method, target, headers, b"{}")
                self.assert_problem(reply, 400)
                self.assertEqual([e["location"] for e in reply.json["errors"]],
                                 ["body." + name for name in required])

    def test_text_is_kept_byte_for_byte_or_refused(self):
        for name, value in NASTY.items():
            with self.subTest(name):
                text = value.decode("utf-8", "surrogateescape")
                json_type = {"Content-Type": "application/json"}
                created = self.send("POST", "/api/v1/sessions", json_type,
                                    b'{"user":' + as_json(value) + b"}")
                if created.status == 201:
                    self.assertEqual(created.json["user"], text)
                    path = f"/api/v1/users/{quote(value, '')}/sessions"
                    listed = self.send("GET", path, {}, None)
                    self.assertEqual([s["user"] for s in listed.json["data"]], [text], listed)
                else:
                    self.assertIn(created.status, (400, 413), created)

    def test_no_two_cache_keys_are_the_same(self):
        stored = {}
        for name, key in NASTY.items():
            target = f"/api/v1/cache/entries/{quote(key, '')}"
            reply = self.send("PUT", target, {"Content-Type": "text/plain"}, name.encode())
            if reply.status == 200:
                stored[target] = name
            else:
                self.assertIn(reply.status, (400, 404) + TRANSPORT, reply)
        self.assertGreater(len(stored), 15)
        for target, name in stored.items():
            self.assertEqual(self.send("GET", target, {}, None).body, name)

    def test_data_of_a_session_comes_back_as_it_went_in(self):
        for data in ({"a": "\U0001d11e\u202e\u0001\\\"/"}, {"": {"": [None, True, 0.1, -0.0]}},
                     {"n": 2**53}, {"deep": _nested(55)}):
            with self.subTest(data=str(data)[:60]):
                reply = self.redoubt.post("/api/v1/sessions", {"user": "ada", "data": data})
                self.assertEqual(reply.status, 201, reply)
                again = self.redoubt.get("/api/v1/sessions/" + reply.json["id"])
                self.assertEqual(again.json["data"], data)




def _nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


SESSION = b'{"user":"ada","data":%s}'

BAD_JSON = {
    "a million brackets": b"[" * 1_000_000,
    "a million closed brackets": b"[" * 500_000 + b"]" * 500_000,
    "objects nested": b'{"a":' * 150_000,
    "deep in a field": SESSION % (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}"),
    "duplicate keys": b'{"user":"ada","user":"eve"}',
    "duplicate keys, one escaped": b'{"user":"ada","\\u0075ser":"eve"}',
    "duplicate keys deep inside": SESSION % b'{"a":{"b":1,"b":2}}',
    "too great a number": SESSION % b'{"a":1e400}',
    "too small a number": SESSION % b'{"a":1e-400}',
    "an integer no double holds": SESSION % b'{"a":9007199254740993}',
    "2^63": SESSION % b'{"a":9223372036854775808}',
    "NaN": SESSION % b'{"a":NaN}',
    "Infinity": SESSION % b'{"a":Infinity}',
    "minus Infinity": SESSION % b'{"a":-Infinity}',
    "a leading zero": SESSION % b'{"a":01}',
    "a leading plus": SESSION % b'{"a":+1}',
    "a bare point": SESSION % b'{"a":.5}',
    "a trailing point": SESSION % b'{"a":1.}',
    "hexadecimal": SESSION % b'{"a":0x1}',
    "a lone high surrogate": b'{"user":"\\ud800"}',
    "a lone low surrogate": b'{"user":"\\udc00"}',
    "surrogates in the wrong order": b'{"user":"\\udc00\\ud800"}',
    "a raw surrogate": b'{"user":"\xed\xa0\x80"}',
    "overlong": b'{"user":"\xc0\x80"}',
    "a hundred thousand keys": b"{" + b",".join(b'"%d":1' % i for i in range(100_000)) + b"}",
    "a hundred thousand keys in a field":
        SESSION % (b"{" + b",".join(b'"%d":1' % i for i in range(90_000)) + b"}"),
    "a byte order mark": b'\xef\xbb\xbf{"user":"ada"}',
    "UTF-16": '{"user":"ada"}'.encode("utf-16"),
    "single quotes": b"{'user':'ada'}",
    "no quotes": b'{user:"ada"}',
    "a comment": b'{"user":"ada"/**/}',
    "a trailing comma": b'{"user":"ada",}',
    "two values": b'{"user":"ada"}{"user":"eve"}',
    "a raw newline in a string": b'{"user":"a\nb"}',
    "a raw NUL": b'{"user":"ada"}\x00',
    "a bad escape": b'{"user":"\\x61"}',
    "a short escape": b'{"user":"\\u12"}',
    "an array": b"[]",
    "a string": b'"ada"',
    "null": b"null",
    "a number": b"1",
    "white space": b"  \r\n\t ",
    "nothing": b"",
}


class BadJson(ServerTest):
    def post(self, body, content_type="application/json"):
        return self.redoubt.request("POST", "/api/v1/sessions", body,
                                    headers={"Content-Type": content_type})

    def test_is_refused_with_the_place(self):
        before = self.redoubt.memory_peak()
        for name, body in BAD_JSON.items():
            with self.subTest(name):
                reply = self.post(body)
                self.assert_problem(reply, 400)
                self.assertLess(len(reply.body), 16_000)
        self.assertLess(self.redoubt.memory_peak(), before + (64 << 20))

    def test_every_truncation_is_refused(self):
        body = b'{"user":"\\u0061d\xc3\xa4","data":{"a":[1.5e1,true,null,{}]},"idle_ttl":60}'
        self.assertEqual(self.post(body).status, 201)
        for length in range(len(body)):
            self.assert_problem(self.post(body[:length]), 400)

    def test_what_is_allowed_is_taken(self):
        for body in (b' \r\n\t{ "user" : "ada" } \n', b'{"user":"\\ud834\\udd1e"}',
                     SESSION % b'{"a":-0}', SESSION % b'{"a":1E+2}', SESSION % b'{"a":"\\u0001"}',
                     SESSION % b'{"a":-9007199254740991}', SESSION % b'{"a":[[[]]]}',
                     b'{"user":"ada","idle_ttl":1e3}', b'{"user":"ada","idle_ttl":"1h30m"}'):
            with self.subTest(body):
                self.assertEqual(self.post(body).status, 201)

    def test_is_only_read_as_what_it_says_it_is(self):
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                             "application/xml"):
            reply = self.post(b'{"user":"ada"}', content_type)
            self.assert_problem(reply, 415)
            self.assertEqual(reply.json["title"], "Unsupported Media Type")
        reply = self.post(b'{"user":"ada"}', "Application/JSON; charset=utf-8")
        self.assertEqual(reply.status, 201, reply)

    def test_a_body_of_just_the_limit_is_read_and_one_more_byte_is_not(self):
        padding = (1 << 20) - len(b'{"user":"ada"}')
        self.assertEqual(self.post(b" " * padding + b'{"user":"ada"}').status, 201)
        self.assertEqual(self.post(b" " * (padding + 1) + b'{"user":"ada"}').status, 413)


if __name__ == "__main__":
    unittest.main()
