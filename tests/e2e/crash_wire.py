"""A keep-alive HTTP connection that knows whether a request that failed was sent."""

import json
import socket


class NotSent(Exception):
    """Nobody listens: the request did not leave."""


class Lost(Exception):
    """Sent, at least in part, and not answered."""


class Wire:
    def __init__(self, port, key):
        self.port = port
        self.key = key
        self.socket = None
        self.stream = None

    def ask(self, method, path, body=None, key=None):
        """(status, JSON or text); raises NotSent or Lost."""
        return self.ask_all([(method, path, body, key)])[0]

    def ask_all(self, requests):
        """The same for many requests, pipelined."""
        if self.socket is None:
            self._connect()
        try:
            self.socket.sendall(b"".join(self._encode(*request) for request in requests))
            return [self._receive() for _ in requests]
        except (OSError, ValueError) as error:
            self.close()
            raise Lost(str(error)) from error

    def close(self):
        if self.socket is not None:
            self.stream.close()
            self.socket.close()
            self.socket = None

    def _connect(self):
        try:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        except OSError as error:
            raise NotSent(str(error)) from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def _encode(self, method, path, body, key):
        head = (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {key or self.key}\r\n")
        if body is None:
            return (head + "\r\n").encode()
        text = json.dumps(body)
        return (f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                f"{text}").encode()

    def _receive(self):
        status = int(self._line().split()[1])
        length, is_json = 0, False
        while line := self._line():
            name, _, value = line.partition(":")
            name = name.lower()
            if name == "content-length":
                length = int(value)
            elif name == "content-type":
                is_json = "json" in value
        body = self.stream.read(length)
        if len(body) != length:
            raise OSError("closed within an answer")
        return status, json.loads(body) if is_json and body else body.decode()

    def _line(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("closed within an answer")
        return line[:-2].decode("latin-1")
