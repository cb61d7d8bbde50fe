"""A TCP proxy on this machine that can cut its connections in the middle of a transfer, as a failing network does."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_RESET = struct.pack("ii", 1, 0)  # closing then tells the other side at once, by a reset


class Proxy:
    """Forwards every connection to one server. `cut_after` cuts the connection that sends so many bytes, once."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._left: int | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._guard = threading.Lock()
        self.cuts = 0
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: int) -> None:
        """Cut after this many more bytes on their way to the server."""
        with self._guard:
            self._left = count

    def close(self) -> None:
        """Take no more connections and cut those there are."""
        self._listener.close()
        for pair in list(self._pairs):
            _reset(*pair)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed at the end
            while True:
                inside, _ = self._listener.accept()
                outside = socket.create_connection(self._server)
                self._pairs.append((inside, outside))
                for source, target, counted in ((inside, outside, True), (outside, inside, False)):
                    threading.Thread(target=self._forward, args=(source, target, counted), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if counted and self._is_over(len(data)):
                    break
                target.sendall(data)
        _reset(source, target)

    def _is_over(self, count: int) -> bool:
        with self._guard:
            if self._left is None:
                return False
            self._left -= count
            if self._left > 0:
                return False
            self._left = None
            self.cuts += 1
            return True


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def proxy_to(host: str, port: int) -> Iterator[Proxy]:
    """Put a proxy before a server; `port` of it is where to connect."""
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
