"""A `requests` session whose one connection is cut when its time is over, whatever it is waiting for.

The library's own timeout is for each read, so that an answer which drips byte by byte, header or body, stretches it
without end.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool


class CutOff:
    """Cuts connections when the time is over. happened: whether it did. Used as a context, which ends it."""

    def __init__(self, seconds: float) -> None:
        self.happened = False
        self._watched: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "CutOff":
        self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._watched:
                watched.close()
            self._watched.clear()

    def watch(self, connected: socket.socket) -> None:
        """Watch over a connection by a second handle on it: TLS takes the first one over."""
        with self._lock:
            self._watched.append(connected.dup())
        if self.happened:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.happened = True
            for watched in self._watched:
                try:
                    watched.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was quicker


class _WatchedAdapter(HTTPAdapter):
    def __init__(self, cut_off: CutOff) -> None:
        self._cut_off = cut_off
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        assert isinstance(pool, HTTPConnectionPool)  # of TLS, too, is one
        pool.ConnectionCls = _watched_kind(pool.ConnectionCls, self._cut_off)
        return pool


def _watched_kind(kind: Any, cut_off: CutOff) -> Any:
    class Watched(kind):  # type: ignore[misc]  # plain or TLS, as the pool has it
        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            cut_off.watch(connected)
            return connected

    return Watched


@contextmanager
def open_session(cut_off: CutOff) -> Iterator[requests.Session]:
    """Open a session for one request: no environment proxies or netrc, no retries, and no cookies for the next."""
    with requests.Session() as http:
        http.trust_env = False
        for scheme in ("https://", "http://"):
            http.mount(scheme, _WatchedAdapter(cut_off))
        yield http
