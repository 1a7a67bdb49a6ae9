"""Gateways that limit requests: their configurations, and what they let pass, by their own logs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from attrs import define, field, frozen

from .configs import found, is_root, written
from .limit_models import Counter, HaproxyRate, NginxRate
from .programs import Command, open_folder, running

__all__ = ["Arrival", "GatewayLimit", "LimitedGateway", "haproxy_limit", "limited_gateway", "nginx_limit"]

_MARK = "arrival"
"""What a line of a log begins with that tells of a request: HAProxy writes its own messages to the same file."""


@frozen
class GatewayLimit:
    """A limit of a gateway, for each address of a client.

    `number`: requests per `period` milliseconds. `burst`, `delay`: of nginx; `delay` holds back what is above the rate.
    `retry_after`: seconds, in a header of each refusal; `None` sends no such header, as the programs do by themselves.
    `status`: of a refusal.
    """

    program: Literal["nginx", "haproxy"]
    number: int
    period: int = 1000
    burst: int = 0
    delay: bool = False
    retry_after: int | None = None
    status: int = 429

    def counter(self) -> Counter:
        """Return a new model of the limit."""
        if self.program == "nginx":
            return NginxRate(self.number, self.burst, self.delay)
        return HaproxyRate(self.number, self.period)

    def command(self, origin: int, folder: Path, port: int) -> Command:
        """Write the configuration into a folder, with the server behind at `origin`; return the command."""
        text = (_nginx if self.program == "nginx" else _haproxy)(self, origin, folder, port)
        path = written(folder, text)
        if self.program == "nginx":
            return Command([found("nginx"), "-p", str(folder), "-e", "stderr", "-c", path])
        return Command([found("haproxy"), "-db", "-f", path])


def nginx_limit(
    per_second: int, *, burst: int = 0, delay: bool = False, retry_after: int | None = None, status: int = 429
) -> GatewayLimit:
    """Return a limit of nginx. Its own default for `status` is 503."""
    return GatewayLimit("nginx", per_second, 1000, burst, delay, retry_after, status)


def haproxy_limit(number: int, seconds: int = 1, *, retry_after: int | None = None) -> GatewayLimit:
    """Return a limit of HAProxy of so many requests in so many seconds; those refused count as well."""
    return GatewayLimit("haproxy", number, 1000 * seconds, retry_after=retry_after)


def _nginx(limit: GatewayLimit, origin: int, folder: Path, port: int) -> str:
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    burst = f" burst={limit.burst}{'' if limit.delay else ' nodelay'}" if limit.burst else ""
    # `always`, or a refusal gets no header; a header without value is left out
    header = "" if limit.retry_after is None else "add_header Retry-After $retry_after always;"
    return f"""
        {"user root;" if is_root() else ""}
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
        events {{ worker_connections 1024; }}
        http {{
          {temporary}
          log_format arrivals '{_MARK} $msec $request_time $status $request_uri';
          access_log {folder}/arrivals.log arrivals;
          map $status $retry_after {{ {limit.status} {limit.retry_after or 0}; default ""; }}
          limit_req_zone $binary_remote_addr zone=clients:1m rate={limit.number}r/s;
          upstream exchange {{ server 127.0.0.1:{origin} max_fails=0; keepalive 64; }}
          server {{
            listen 127.0.0.1:{port}; keepalive_requests 1000000;
            limit_req zone=clients{burst}; limit_req_status {limit.status}; limit_req_log_level info;
            location / {{
              proxy_pass http://exchange; proxy_http_version 1.1; proxy_set_header Connection ""; {header}
            }}
          }}
        }}
    """


def _haproxy(limit: GatewayLimit, origin: int, folder: Path, port: int) -> str:
    del folder
    header = "" if limit.retry_after is None else f" hdr Retry-After {limit.retry_after}"
    return f"""
global
  nbthread 1
defaults
  mode http
  option dontlognull
  timeout connect 2s
  timeout client 60s
  timeout server 10s
frontend gate
  bind 127.0.0.1:{port}
  log stdout len 4096 format raw local0
  log-format "{_MARK} %[var(txn.at)] %[var(txn.rate)] %ST %HP"
  stick-table type ip size 100 expire 120s store http_req_rate({limit.period}ms)
  http-request set-var(txn.at) date(0,ms)
  http-request track-sc0 src
  http-request set-var(txn.rate) sc_http_req_rate(0)
  http-request deny deny_status {limit.status}{header} if {{ sc_http_req_rate(0) gt {limit.number} }}
  default_backend exchange
backend exchange
  server s0 127.0.0.1:{origin}
"""


@frozen
class Arrival:
    """A request by the gateway's log.

    `at`: when it came, `ended`: when its answer had left (milliseconds; HAProxy does not tell the second). `passed`:
    the gateway let it through. `rate`: what HAProxy took the rate for.
    """

    at: int
    ended: int
    path: str
    passed: bool
    rate: int | None = None


@define
class LimitedGateway:
    """A gateway that runs.

    `arrivals`: the requests, in the order in which they came, once the gateway has ended: a program writes its log
    after it has answered.
    """

    limit: GatewayLimit
    base_url: str
    arrivals: list[Arrival] = field(factory=list[Arrival], init=False)


def _arrivals(limit: GatewayLimit, folder: Path) -> list[Arrival]:
    log, read = ("arrivals.log", _of_nginx) if limit.program == "nginx" else ("output.log", _of_haproxy)
    words = (line.split() for line in (folder / log).read_text().splitlines())
    arrivals = (read(limit.status, *line[1:]) for line in words if line[:1] == [_MARK])
    return sorted(arrivals, key=lambda arrival: arrival.at)


def _of_nginx(refusal: int, ended: str, seconds: str, status: str, path: str) -> Arrival:
    left = round(float(ended) * 1000)
    return Arrival(left - round(float(seconds) * 1000), left, path, int(status) != refusal)


def _of_haproxy(refusal: int, at: str, rate: str, status: str, path: str) -> Arrival:
    return Arrival(int(at), int(at), path, int(status) != refusal, int(rate))


@asynccontextmanager
async def limited_gateway(limit: GatewayLimit, origin: int) -> AsyncIterator[LimitedGateway]:
    """Run a gateway in front of the server that listens on the port `origin`."""

    def config(folder: Path, port: int) -> Command:
        return limit.command(origin, folder, port)

    with open_folder() as folder:
        async with running(config, folder) as port:
            gateway = LimitedGateway(limit, f"http://127.0.0.1:{port}/v1")
            yield gateway
        gateway.arrivals += _arrivals(limit, folder)
