"""The yardstick: bytes in, bytes out, on both sides an ``asyncio.Protocol``. Python's floor.

``python -m tests.perf.pump UPSTREAM_PORT`` prints its port and serves until its input closes.
"""

import asyncio
import sys


class Side(asyncio.Protocol):
    """One end of a pair; what arrives here leaves at ``other``."""

    def __init__(self, upstream: int | None, other: "Side | None" = None) -> None:
        self._upstream, self.other = upstream, other
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._upstream is not None:
            self._connecting = asyncio.ensure_future(self._connect(self._upstream))

    async def _connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: Side(None, self), "127.0.0.1", port)
        self.other.transport.write(b"".join(self._early))

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


async def main(upstream: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Side(upstream), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
