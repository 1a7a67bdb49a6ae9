"""Configurations of the gateways. Each function takes what a gateway is to do, and returns a `Config`.

Timeouts are short, so that a gateway answers in place of an exchange that is only slow. Everything listens on
127.0.0.1.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from .programs import Command, Config, find

__all__ = [
    "EXCHANGE",
    "GIVES_UP",
    "PASSWORD",
    "USER",
    "apache",
    "found",
    "haproxy",
    "is_root",
    "nginx",
    "squid_accelerator",
    "squid_forward",
    "written",
]

GIVES_UP = 0.5
"""Seconds after which a gateway no longer waits for the exchange."""
EXCHANGE = "exchange.example"
"""A name for the exchange that is not one of this machine's own, which no proxy of the environment is used for."""
USER, PASSWORD = "team", "gate-p@ss:word"

_MS = f"{GIVES_UP * 1000:.0f}ms"


def is_root() -> bool:
    """Return whether programs that we start would change to a user who cannot read their folder."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def found(program: str) -> str:
    """Return the path of a program that is installed."""
    path = find(program)
    assert path is not None, f"{program} is not installed"
    return path


def nginx(
    origins: Sequence[int],
    *,
    gzip: bool = False,
    cache: bool = False,
    heeds_no_cache: bool = False,
    next_upstream: str = "off",
    tls: tuple[Path, Path] | None = None,
    own_page: int | None = None,
) -> Config:
    """A reverse proxy with buffering and connections that are kept alive.

    `next_upstream`: when a request is sent to another origin, or once more to the same. `heeds_no_cache`: a request
    with `Cache-Control` goes past the cache, as the manual of `proxy_cache_bypass` advises. `tls`: certificate and key.
    `own_page`: where the exchange fails, it answers with this status and a page of its own. As 200 that page is held
    against the request's `If-Match`, and becomes a 412.
    """

    def write(folder: Path, port: int) -> Command:
        lines = [f"listen 127.0.0.1:{port}{' ssl' if tls else ''};"]
        if tls:
            lines += [f"ssl_certificate {tls[0]};", f"ssl_certificate_key {tls[1]};"]
        if gzip:
            lines += ["gzip on;", "gzip_types application/json;", "gzip_proxied any;", "gzip_min_length 1;"]
        place = [
            "proxy_pass http://exchange;",
            "proxy_http_version 1.1;",
            "proxy_set_header Host $http_host;",
            'proxy_set_header Connection "";',
            f"proxy_read_timeout {_MS};",
            f"proxy_next_upstream {next_upstream};",
        ]
        if own_page:
            place += ["proxy_intercept_errors on;", f"error_page 500 502 503 504 ={own_page} @page;"]
            lines += [f'location @page {{ default_type text/html; return {own_page} "<h1>Back soon</h1>"; }}']
        if cache:
            place.append("proxy_cache runs;")
        if cache and heeds_no_cache:
            place.append("proxy_cache_bypass $http_cache_control;")
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = " ".join(f"server 127.0.0.1:{origin} max_fails=0;" for origin in origins)
        text = f"""
            {"user root;" if is_root() else ""}
            daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
            events {{ worker_connections 1024; }}
            http {{
              access_log off; {temporary}
              {f"proxy_cache_path {folder}/cache keys_zone=runs:1m;" if cache else ""}
              upstream exchange {{ {servers} keepalive 64; }}
              server {{ {" ".join(lines)} location / {{ {" ".join(place)} }} }}
            }}
        """
        return Command([found("nginx"), "-p", str(folder), "-e", "stderr", "-c", written(folder, text)])

    return write


def haproxy(origins: Sequence[int], *, retry_on: str = "conn-failure", own_page: bool = False) -> Config:
    """A load balancer that tries again, at another server if there is one.

    `retry_on`: after which failures. `own_page`: in place of a 502 or 504 it answers 200 with a page of its own.
    """

    def write(folder: Path, port: int) -> Command:
        servers = "\n  ".join(f"server s{number} 127.0.0.1:{origin}" for number, origin in enumerate(origins))
        page = folder / "page.http"
        page.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\n<h1>Back soon</h1>")
        # on a connection that was used before, HAProxy closes without a word
        pages = f"option httpclose\n  errorfile 502 {page}\n  errorfile 504 {page}"
        text = f"""
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server {_MS}
  retries 3
  option redispatch 1
  retry-on {retry_on}
  {pages if own_page else ""}
frontend gate
  bind 127.0.0.1:{port}
  default_backend exchange
backend exchange
  balance roundrobin
  {servers}
"""
        return Command([found("haproxy"), "-db", "-f", written(folder, text)])

    return write


def _squid(port: int, *lines: str) -> str:
    return "\n".join(
        [
            "pid_filename none",
            "cache_log stdio:/dev/stderr",
            "access_log none",
            "cache_store_log none",
            "logfile_rotate 0",
            "pinger_enable off",
            "shutdown_lifetime 0 seconds",
            "memory_cache_shared off",
            "coredump_dir none",
            "visible_hostname gateway.test",
            "read_timeout 1 second",
            *lines,
            "",
        ]
    )


def _squid_command(folder: Path, port: int, text: str) -> Command:
    # asked to end, squid takes two seconds; it keeps nothing outside its folder but shared memory
    name = f"gate{port}"
    arguments = [found("squid"), "-N", "-n", name, "-f", written(folder, text)]
    return Command(arguments, kill=True, leaves=f"{name}-*")


def squid_accelerator(origin: int, *, heeds_no_cache: bool = True) -> Config:
    """A reverse proxy with a cache in memory, which keeps what the exchange allows, and says so by `Age`."""

    def write(folder: Path, port: int) -> Command:
        text = _squid(
            port,
            f"http_port 127.0.0.1:{port} accel no-vhost defaultsite=127.0.0.1:{origin}"
            f"{'' if heeds_no_cache else ' ignore-cc'}",
            f"cache_peer 127.0.0.1 parent {origin} 0 no-query no-digest no-netdb-exchange originserver login=PASSTHRU",
            "http_access allow all",
            "never_direct allow all",
            "cache_mem 16 MB",
        )
        return _squid_command(folder, port, text)

    return write


def squid_forward() -> Config:
    """A forward proxy for CONNECT that wants a name and a password, and knows where `EXCHANGE` is."""

    def write(folder: Path, port: int) -> Command:
        (folder / "hosts").write_text(f"127.0.0.1 localhost {EXCHANGE}\n")
        helper = folder / "passwords.sh"
        helper.write_text(
            f"#!/bin/sh\nwhile read -r line; do [ \"$line\" = '{USER} {PASSWORD}' ] && echo OK || echo ERR; done\n"
        )
        helper.chmod(0o755)
        text = _squid(
            port,
            f"http_port 127.0.0.1:{port}",
            f"hosts_file {folder / 'hosts'}",
            f"auth_param basic program {helper}",
            "auth_param basic children 1 startup=1 idle=1",
            "auth_param basic realm gateway",
            "acl known proxy_auth REQUIRED",
            "http_access allow known",
            "http_access deny all",
            "cache deny all",
        )
        return _squid_command(folder, port, text)

    return write


def apache(origin: int) -> Config:
    """A reverse proxy with mod_deflate, which compresses JSON and rewrites its ETag."""

    def write(folder: Path, port: int) -> Command:
        modules = _modules()
        wanted = ("mpm_event", "authz_core", "filter", "deflate", "proxy", "proxy_http")
        loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in wanted)
        text = f"""
{loads}
ServerName gateway.test
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog /dev/stderr
Listen 127.0.0.1:{port}
{"User www-data" if is_root() else ""}
{"Group www-data" if is_root() else ""}
StartServers 1
ServerLimit 2
ThreadsPerChild 64
MaxRequestWorkers 128
MaxKeepAliveRequests 0
AddOutputFilterByType DEFLATE application/json
AllowEncodedSlashes NoDecode
ProxyTimeout 1
ProxyPass / http://127.0.0.1:{origin}/ retry=0 nocanon
"""
        return Command([found("apache2"), "-DFOREGROUND", "-f", written(folder, text)])

    return write


def _modules() -> Path:
    return Path("/usr/lib/apache2/modules")


def written(folder: Path, text: str) -> str:
    """Write a configuration into a folder; return its path."""
    path = folder / "gateway.conf"
    path.write_text(text)
    return str(path)
