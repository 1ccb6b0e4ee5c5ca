"""Connections to other services: the client of httpx over that of aiohttp, which costs far less processor time.

Measured in benchmarks/README.md: with 64 requests under way, httpx's pool looks at all of them for each.
"""

import socket
from functools import cache
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

# Uvicorn closes an idle connection after 5 s; one that is kept for longer may be closed just when it is used.
_IDLE_S = 4.0
# A peer that vanishes (a network that is lost, a machine that is switched off) says nothing; the kernel asks after it.
_ASKED_AFTER_S, _ASKED_EVERY_S, _ASKED_TIMES = 15, 5, 3
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


def client(**options: Any) -> httpx.AsyncClient:
    """As many connections as there are requests: how many may be under way is decided elsewhere."""
    # No setting of the environment, such as a proxy, may carry calls between our services away.
    return httpx.AsyncClient(transport=AiohttpTransport(verify=_tls(), client=own_session), trust_env=False, **options)


def own_session(**options: Any) -> aiohttp.ClientSession:
    """The same without httpx above it, for what is called thousands of times. Needs a running loop."""
    return _session(_tls(), **options)


def session(url: str, **options: Any) -> aiohttp.ClientSession:
    """For a server of others, such as a hosted model: a proxy and certificates that the environment names are used.

    Needs a running loop.
    """
    address = urlsplit(url)
    proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)
    return _session(httpx.create_ssl_context(), proxy=proxy, **options)


def was_never_sent(error: Exception) -> bool:
    """Whether there was no connection. The transport of httpx calls every lost one a timeout of connecting."""
    return isinstance(error, _NEVER_SENT) or isinstance(error.__cause__, _NEVER_SENT)


def _session(tls: SSLContext, **options: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S, ssl=tls, socket_factory=_socket)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), **options)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    kinds = {"TCP_KEEPIDLE": _ASKED_AFTER_S, "TCP_KEEPINTVL": _ASKED_EVERY_S, "TCP_KEEPCNT": _ASKED_TIMES}
    for name, value in kinds.items():
        if hasattr(socket, name):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


@cache
def _tls() -> SSLContext:
    """Reading the certificates takes 20 ms, so they are read once."""
    return httpx.create_ssl_context(trust_env=False)
