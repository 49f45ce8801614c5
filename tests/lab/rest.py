"""A Redis over HTTP as Upstash serves it, in front of a real one, and as bad as one likes: `fault` is
what one in `every` answers meets."""

import asyncio
import base64
import json
import random
import urllib.parse

from proxy import background


class Resp:
    """A connection to the real Redis."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def run(self, arguments):
        parts = [b"*%d\r\n" % len(arguments)]
        for argument in arguments:
            data = argument if isinstance(argument, bytes) else str(argument).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.writer.write(b"".join(parts))
        return await self._read()

    async def _read(self):
        """(kind, value): simple, error, number, text, null, list."""
        line = (await self.reader.readline())[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return "simple", rest.decode()
        if kind == b"-":
            return "error", rest.decode()
        if kind == b":":
            return "number", int(rest)
        count = int(rest)
        if count < 0:
            return "null", None
        if kind == b"$":
            return "text", (await self.reader.readexactly(count + 2))[:-2]
        return "list", [await self._read() for _ in range(count)]


def plain(reply):
    kind, value = reply
    if kind == "text":
        return base64.b64encode(value).decode()
    return [plain(item) for item in value] if kind == "list" else value


def as_json(reply):
    return {"error": reply[1]} if reply[0] == "error" else {"result": plain(reply)}


class RestService:
    FAULTS = ("too_many", "server_error", "forbidden", "slow", "truncated", "wrong_length",
              "reordered", "dropped")

    def __init__(self, redis, token, seed=1):
        """`redis`: (host, port)."""
        self.redis, self.token = redis, token
        self.random = random.Random(seed)
        self.fault, self.every, self.bad = None, 8, 0
        self.server = background().call(self._listen())
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self):
        background().call(self._close())

    async def _listen(self):
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _close(self):
        self.server.close()

    async def _serve(self, reader, writer):
        there = None
        try:
            there = Resp(*await asyncio.open_connection(*self.redis))
            while request := await self._read_request(reader):
                if not await self._answer(writer, there, *request):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            if there:
                there.writer.close()

    async def _read_request(self, reader):
        line = await reader.readline()
        if not line:
            return None
        headers = {}
        while (field := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return line.split()[1].decode(), headers, body

    async def _answer(self, writer, there, path, headers, body):
        """False: the connection ends."""
        if headers.get("authorization") != f"Bearer {self.token}":
            return await self._write(writer, 401, {"error": "Unauthorized"})
        fault = self.fault if self.fault and self.random.randrange(self.every) == 0 else None
        self.bad += fault is not None
        if fault in ("too_many", "forbidden"):
            status = 429 if fault == "too_many" else 403
            return await self._write(writer, status, {"error": "refused by the lab"})
        answer = await self._execute(there, path, body)
        if fault == "server_error":  # Done, and denied.
            return await self._write(writer, 502, {"error": "upstream"})
        if fault == "dropped":
            return False
        if fault == "slow":
            await asyncio.sleep(self.random.uniform(.02, .3))
        if fault == "reordered" and isinstance(answer, list):
            answer = answer[1:] + answer[:1] if len(answer) > 1 else []
        data = json.dumps(answer).encode()
        length = len(data)
        if fault == "truncated":
            data = data[:len(data) // 2]
            length = len(data)
        if fault == "wrong_length":
            length += 5
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % length + data)
        await writer.drain()
        return fault != "wrong_length"

    @staticmethod
    async def _write(writer, status, answer):
        data = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d Lab\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % (status, len(data)) + data)
        await writer.drain()
        return True

    async def _execute(self, there, path, body):
        if path == "/":
            return as_json(await there.run(json.loads(body)))
        if path == "/pipeline":
            return [as_json(await there.run(command)) for command in json.loads(body)]
        if path == "/multi-exec":
            await there.run(["MULTI"])
            for command in json.loads(body):
                await there.run(command)
            kind, replies = await there.run(["EXEC"])
            return [as_json(r) for r in replies] if kind == "list" else as_json((kind, replies))
        arguments = [urllib.parse.unquote_to_bytes(part) for part in path[1:].split("/")]
        return as_json(await there.run([*arguments, body] if body else arguments))
