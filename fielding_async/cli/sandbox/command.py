"""`fielding sandbox`: serves a sandbox of the exchange until it is stopped."""

import asyncio
import errno
import os
import secrets
import shlex
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.options import json_option
from fielding_async.cli.shared.output import write_json, write_stderr, write_stdout
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, RunRef, RunStatus

if TYPE_CHECKING:
    from fielding_async.sandbox import Sandbox

__all__ = ["sandbox"]

_KEPT = 10_000  # requests and writes that the sandbox keeps a record of: it may run for days
_KEPT_BYTES = 64 << 20
_LOOPBACK_ONLY = "the SDK speaks plain http to loopback addresses only (127.0.0.1, ::1)"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Also answer requests whose Host is this name. May be repeated. [default: loopback names only]",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="NUMBER", help="Port. [default: 0, any free one]"
)
@click.option(
    "--runs",
    type=click.IntRange(0, 10_000),
    default=8,
    show_default=True,
    metavar="NUMBER",
    help="How many runs it holds: scheduled, live, paused and completed ones in turn.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    help="Answer requests beyond so many a second with 429. [default: no limit]",
)
@click.option(
    "--require-token",
    is_flag=True,
    help="Refuse requests without the token that it prints; implied by a --host that other machines can reach.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="NUMBER", help="For the ids it makes up.")
@json_option
def sandbox(
    host: str,
    hosts: tuple[str, ...],
    port: int,
    runs: int,
    rate: float | None,
    require_token: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Serve an exchange in a box, with runs to act on, until Ctrl-C.

    It answers as the exchange does: ETags, conflicts, wrong states, bulk jobs, rate limits. It prints its URL, a new
    token, the runs, and how to point the SDK at it. Nothing is kept when it ends. With --json all that is one line of
    JSON, written before the first request is served.

    Requests for hosts other than this machine, and requests of web pages of other origins, are refused.

    \b
    Examples:
      fielding sandbox
      fielding sandbox --port 8080 --runs 100 --rate 20 --require-token
    """

    async def work() -> int:
        from fielding_async.sandbox import Sandbox

        token = f"sandbox.{secrets.token_urlsafe(32)}"
        is_required = require_token or not _is_loopback(host)
        try:
            box = Sandbox(
                host=host,
                hosts=hosts,
                port=port,
                seed=seed,
                require_token=token if is_required else False,
                keep=_KEPT,
                keep_bytes=_KEPT_BYTES,
            )
        except ConfigurationError as error:
            raise ConfigurationError(error.message.replace("hosts=", "--allow-host ", 1)) from None
        if rate is not None:
            box.rate_limit(rate, window=max(1.0, 1 / rate))
        statuses = tuple(RunStatus)
        refs = [
            box.add_run(statuses[number % len(statuses)], fielding_run_id=f"RUN{number + 1:04d}")
            for number in range(runs)
        ]
        try:
            await box.__aenter__()
        except OSError as error:
            write_stderr(f"fielding: cannot listen on {host}, port {port}: {_reason(error)}")
            return Exit.USAGE
        try:
            if as_json:
                write_json(_object(box, refs, token))
            else:
                write_stdout("\n".join(_lines(box, refs, token)))
            if not _is_loopback(host):
                write_stderr(_network_note(box))
            await asyncio.Event().wait()
        finally:
            await box.__aexit__(None, None, None)
        return Exit.DONE

    perform(work, doing="sandbox", as_json=as_json)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; choose another with --port, or leave it out"
    known = error.errno in errno.errorcode if error.errno else False
    return os.strerror(error.errno) if known and error.errno else error.strerror or str(error)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _network_note(box: "Sandbox") -> str:
    """Return how it is reached from elsewhere, as the SDK refuses to send a token in the clear."""
    url = urlsplit(box.url)
    if _environment(box, "") is None:
        return (
            f"fielding: note: {_LOOPBACK_ONLY}, and this sandbox listens at {url.hostname} only: leave --host out, or"
            " use --host 0.0.0.0; on other machines put https in front, and name its host with --allow-host"
        )
    near = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return (
        f"fielding: note: {_LOOPBACK_ONLY}: on other machines, forward the port (ssh -L {url.port}:{near}:{url.port}"
        " THIS-MACHINE), or put https in front and name its host with --allow-host"
    )


def _environment(box: "Sandbox", token: str) -> dict[str, str] | None:
    """Return the settings that point the SDK at it; `None` where the SDK refuses its URL."""
    if not _is_loopback(urlsplit(box.url).hostname or ""):
        return None
    return {"FIELDING_BASE_URL": box.url, "FIELDING_TOKEN": token}


def _object(box: "Sandbox", refs: list[RunRef], token: str) -> dict[str, Any]:
    return {
        "kind": "sandbox",
        "url": box.url,
        "token": token,
        "token_required": box.token is not None,
        "token_url": box.token_url,
        "environment": _environment(box, token),
        "project_id": box.project_id,
        "runs": [_run_object(ref, box.inspect(ref)) for ref in refs],
    }


def _run_object(ref: RunRef, run: FieldingRun) -> dict[str, Any]:
    return {
        "ref": str(ref),
        "account_id": ref.account_id,
        "project_id": ref.project_id,
        "target_group_id": ref.target_group_id,
        "fielding_run_id": ref.fielding_run_id,
        "status": str(run.status),
    }


def _lines(box: "Sandbox", refs: list[RunRef], token: str) -> list[str]:
    lines = [f"The sandbox serves at {box.url}"]
    needs = "Every request needs this token" if box.token else "It takes any token, such as this one"
    lines += [f"{needs}, made for this start:", f"  {token}"]
    environment = _environment(box, token)
    if environment is not None:
        lines += ["", "Point the SDK at it, in another terminal:"]
        lines += [f"  export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if refs:
        lines += ["", f"{len(refs)} runs:" if len(refs) > 1 else "1 run:"]
        lines += [f"  {ref}  {box.inspect(ref).status}" for ref in refs]
    if refs and environment is not None:
        first = refs[0]
        groups = " ".join(ref.target_group_id for ref in refs[3:8:4] or refs[:1])
        batch = f"--account {first.account_id} --project {first.project_id}"
        lines += [
            "",
            "Try:",
            f"  fielding run launch-now {first}",
            f"  fielding batch relaunch {batch} \\\n    {groups}",
        ]
    return [*lines, "", "Ctrl-C stops it."]
