"""A TCP proxy that misbehaves on demand: in front of Redis or PostgreSQL, one for each instance.

All proxies share one thread. The faults are attributes of a proxy, which hold from when they are set
for whatever passes then:

    latency, jitter    seconds that every chunk takes longer, each way
    bandwidth          bytes a second, each way
    slice, gap         chunks of so many bytes, so many seconds apart
    hold_requests, hold_replies   nothing passes that way; the connection stays: half of a network
    hold_subscribers   the same of replies to connections that have subscribed, and to no others
    refuse             new connections are reset at once
    cut_reply          bytes: a reply that contains them never arrives, the connection is reset
                       instead: a COMMIT that was done and whose answer is lost
    reset_every        one in so many replies is cut in its middle by a reset
    trap               a Trap, until it has closed
"""

import asyncio
import random
import socket
import struct
import threading
import time


class _Loop:
    """A thread with a loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)


_shared = None


def background():
    """The loop of everything that stands between two processes."""
    global _shared
    _shared = _shared or _Loop()
    return _shared


def _reset(writer):
    """Closes with RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Trap:
    """A point of a conversation at which something `happens`, once: before `request`, which then
    never arrives; or when its reply comes back, or any that contains `reply`, which never arrives."""

    def __init__(self, happens, request=None, answered=False, reply=None):
        self.happens, self.request, self.answered, self.reply = happens, request, answered, reply
        self.asked = None   # The connection that the request was seen on.
        self.closed = False

    def closes(self, link, data, is_request):
        if self.closed:
            return False
        if is_request and self.request and self.request in data and not self.asked:
            self.asked = link
            self.closed = not self.answered
        elif not is_request:
            self.closed = self.asked is link or bool(self.reply and self.reply in data)
        if self.closed:
            self.happens()
        return self.closed


class Proxy:
    def __init__(self, target, host="127.0.0.1", seed=1):
        """`target`: (host, port)."""
        self.target = target
        self.random = random.Random(seed)
        self.host = host
        self.writers = set()
        self.accepted = []  # When each connection was made.
        self.cuts = 0
        self.heal()
        self.server = background().call(self._listen())
        self.port = self.server.sockets[0].getsockname()[1]

    def heal(self):
        self.latency = self.jitter = self.gap = 0.0
        self.bandwidth = self.slice = self.reset_every = 0
        self.hold_requests = self.hold_replies = self.hold_subscribers = self.refuse = False
        self.cut_reply = self.trap = None

    def reset_all(self):
        """Every connection ends with RST."""
        background().call(self._reset_all())

    def close(self):
        background().call(self._close())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    async def _listen(self):
        return await asyncio.start_server(self._serve, self.host, 0)

    async def _reset_all(self):
        for writer in list(self.writers):
            _reset(writer)

    async def _close(self):
        self.server.close()
        await self._reset_all()

    async def _serve(self, reader, writer):
        self.accepted.append(time.monotonic())
        if self.refuse:
            return _reset(writer)
        try:
            there, away = await asyncio.open_connection(*self.target)
        except OSError:
            return _reset(writer)
        link = _Link(self, writer)
        self.writers |= {writer, away}
        pumps = [asyncio.ensure_future(link.pump(reader, away, True)),
                 asyncio.ensure_future(link.pump(there, writer, False))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, away):
                end.close()
            self.writers -= {writer, away}


class _Link:
    """One connection through a proxy."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.has_subscribed = False

    async def pump(self, reader, writer, is_request):
        queue = asyncio.Queue(maxsize=1000)
        deliver = asyncio.ensure_future(self._deliver(queue, writer, is_request))
        due = 0.0
        try:
            while data := await reader.read(65536):
                if self._ends_here(data, is_request):
                    return
                proxy = self.proxy
                delay = max(0.0, proxy.latency + proxy.random.uniform(-proxy.jitter, proxy.jitter))
                due = max(due, time.monotonic() + delay)
                await queue.put((due, data))
            await queue.put((0.0, b""))
            await deliver
        except OSError:
            pass
        finally:
            deliver.cancel()

    def _ends_here(self, data, is_request):
        """Whether the connection was cut instead of passing this on."""
        proxy = self.proxy
        if proxy.trap and proxy.trap.closes(self, data, is_request):
            proxy.cuts += 1
            return True
        if is_request:
            self.has_subscribed = self.has_subscribed or b"SUBSCRIBE" in data.upper()
            return False
        is_lost = bool(proxy.cut_reply) and proxy.cut_reply in data
        if is_lost or (proxy.reset_every and proxy.random.randrange(proxy.reset_every) == 0):
            proxy.cuts += 1
            if not is_lost:
                self.client.write(data[:proxy.random.randrange(len(data))])
            _reset(self.client)
            return True
        return False

    def _is_held(self, is_request):
        if is_request:
            return self.proxy.hold_requests
        return self.proxy.hold_replies or (self.proxy.hold_subscribers and self.has_subscribed)

    async def _deliver(self, queue, writer, is_request):
        while True:
            due, data = await queue.get()
            if not data:
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            while self._is_held(is_request):
                await asyncio.sleep(0.01)
            for chunk in self._chunks(data):
                writer.write(chunk)
                await writer.drain()
                pause = self.proxy.gap if self.proxy.slice else 0.0
                if self.proxy.bandwidth:
                    pause += len(chunk) / self.proxy.bandwidth
                if pause:
                    await asyncio.sleep(pause)

    def _chunks(self, data):
        size = self.proxy.slice or (512 if self.proxy.bandwidth else len(data))
        return (data[i:i + size] for i in range(0, len(data), size))
