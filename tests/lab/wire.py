"""Keep-alive HTTP connections on asyncio, as cheap as Python allows, that know whether a request that
failed was sent."""

import asyncio
import json


ALL_BUSY = "every connection waits for an answer"  # A limit of the clients' own.


class NotSent(Exception):
    """Nobody listens: the request did not leave."""


class Lost(Exception):
    """Sent, at least in part, and not answered."""


class Answer:
    __slots__ = ("status", "head", "body")

    def __init__(self, status, head, body):
        self.status, self.head, self.body = status, head, body

    def header(self, name):
        """`name` in bytes, as the server writes it."""
        start = self.head.find(b"\r\n" + name + b": ")
        if start < 0:
            return ""
        start += len(name) + 4
        end = self.head.find(b"\r\n", start)
        return self.head[start:end if end >= 0 else None].decode("latin-1")

    def json(self):
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """One request at a time. `number` is the client of the history."""

    count = 0

    def __init__(self):
        Connection.count += 1
        self.number = Connection.count
        self.transport = None
        self.waiting = None
        self.data = b""
        self.is_open = False

    def connection_made(self, transport):
        self.transport = transport
        self.is_open = True

    def connection_lost(self, _error):
        self.is_open = False
        if self.waiting and not self.waiting.done():
            self.waiting.set_exception(Lost("the connection was closed"))

    def data_received(self, data):
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.data[:end]
        at = head.find(b"Content-Length: ")
        length = int(head[at + 16:].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.data) < end + 4 + length:
            return
        body = self.data[end + 4:end + 4 + length]
        self.data = self.data[end + 4 + length:]
        if b"\r\nConnection: close" in head:
            self.is_open = False
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(Answer(int(head[9:12]), head, body))

    async def ask(self, request, timeout):
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            return await asyncio.wait_for(self.waiting, timeout)
        except asyncio.TimeoutError as late:
            self.close()
            raise Lost("no answer in time") from late

    def close(self):
        self.is_open = False
        if self.transport:
            self.transport.abort()


class Pool:
    """Connections to one instance; the one that rested longest is used next, so that all of its
    workers are."""

    def __init__(self, host, port, timeout=5.0, most=200):
        self.host, self.port, self.timeout, self.most = host, port, timeout, most
        self.idle = []
        self.busy = 0

    async def take(self):
        while self.idle:
            connection = self.idle.pop(0)
            if connection.is_open:
                self.busy += 1
                return connection
        if self.busy >= self.most:
            raise NotSent(ALL_BUSY)
        self.busy += 1
        try:
            return await self._connect()
        except (OSError, asyncio.TimeoutError) as error:
            self.busy -= 1
            raise NotSent(str(error)) from error

    async def _connect(self):
        loop = asyncio.get_running_loop()
        made = loop.create_connection(Connection, self.host, self.port)
        return (await asyncio.wait_for(made, self.timeout))[1]

    def give_back(self, connection):
        self.busy -= 1
        if connection.is_open:
            self.idle.append(connection)
        else:
            connection.close()

    def close(self):
        for connection in self.idle:
            connection.close()
        self.idle.clear()


def encode(method, path, key, body=None, content_type="application/json", more=""):
    """`more`: headers of its own, each with its end of line."""
    head = f"{method} {path} HTTP/1.1\r\nHost: lab\r\nAuthorization: Bearer {key}\r\n{more}"
    if body is None:
        return (head + "\r\n").encode()
    if not isinstance(body, str):
        body = json.dumps(body)
    data = body.encode()
    return (f"{head}Content-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
            ).encode() + data
