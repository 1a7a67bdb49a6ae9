"""`fielding sandbox`: serves a sandbox of the exchange until it is stopped."""

import asyncio
import errno
import os
import signal
from typing import Any

import click

from fielding_async.cli.shared.arguments.numbers import Number, WholeNumber
from fielding_async.cli.shared.arguments.options import FilePath, json_option
from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.output import write_json, write_stderr, write_stdout

from .settings import Options, make_sandbox
from .texts import is_loopback, network_note, sandbox_lines, sandbox_object

__all__ = ["sandbox"]

_KINDS = ("fixed-window", "sliding-window", "token-bucket", "leaky-bucket", "request-count")
_FORMS = ("seconds", "decimal", "date", "zero", "absent")
_POSITIVE = Number(min=0, min_open=True)


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
    "--port", type=WholeNumber(0, 65_535), default=0, metavar="NUMBER", help="Port. [default: 0, any free one]"
)
@click.option(
    "--runs",
    type=WholeNumber(0, 100_000),
    default=8,
    show_default=True,
    metavar="NUMBER",
    help="How many runs it holds: scheduled, live, paused and completed ones in turn. At most 100000.",
)
@click.option(
    "--drafts",
    type=WholeNumber(0, 10_000),
    default=0,
    show_default=True,
    metavar="NUMBER",
    help="How many draft target groups it holds.",
)
@click.option(
    "--rate",
    type=_POSITIVE,
    metavar="NUMBER",
    help="Answer requests beyond so many a second with 429. [default: no limit]",
)
@click.option(
    "--limit",
    "limit_kind",
    type=click.Choice(_KINDS),
    help="How --rate counts. [default: fixed-window]",
)
@click.option("--window", type=_POSITIVE, metavar="SECONDS", help="Length of the windows of --rate. [default: 1]")
@click.option("--burst", type=WholeNumber(min=1), metavar="NUMBER", help="Burst of the buckets of --rate.")
@click.option(
    "--in-flight",
    type=WholeNumber(min=1),
    metavar="NUMBER",
    help="Answer requests with 429 while so many others are in progress.",
)
@click.option("--retry-after", type=click.Choice(_FORMS), help="Form of Retry-After in a 429. [default: seconds]")
@click.option(
    "--latency",
    type=Number(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="Let each request wait before it is handled.",
)
@click.option(
    "--jitter",
    type=Number(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="Let --latency be up to so much shorter or longer.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Play a fault once: NAME[:VALUE,...][@OPERATION], COUNT* before it for more. May be repeated.",
)
@click.option(
    "--require-token",
    is_flag=True,
    help="Refuse requests without the token that it prints; implied by a --host that other machines can reach.",
)
@click.option(
    "--client-credentials",
    is_flag=True,
    help="Require tokens that a client fetches with the id and the secret that it prints.",
)
@click.option(
    "--token-life",
    type=_POSITIVE,
    metavar="SECONDS",
    help="Life of fetched tokens; implies --client-credentials. [default: a day]",
)
@click.option(
    "--control-token-file",
    type=FilePath(str),
    metavar="FILE",
    help="File with the token of the control door, which is then not printed; made, with a new token that is printed,"
    " if it does not exist. [default: a new token, printed]",
)
@click.option(
    "--seed", type=WholeNumber(), default=0, show_default=True, metavar="NUMBER", help="For the ids it makes up."
)
@json_option
def sandbox(as_json: bool, require_token: bool, **values: Any) -> None:
    """Serve a sandbox of the exchange, with runs to act on, until Ctrl-C.

    The sandbox answers as the exchange does: ETags, conflicts, wrong states, bulk jobs, rate limits. The command prints
    the URL of the sandbox, a new token, the runs, the settings for the SDK, and the address of a page that shows
    requests and writes. When the command ends, nothing is kept. With --json, it prints one line of JSON before the
    first request is served.

    Faults are those of the Python class Sandbox: refuse, cut:before|after|headers|body, delay:SECONDS[,after],
    hold[:after], status:CODE[,applied=true][,retry_after=TEXT], reply, raw-reply:TEXT, drop-header:NAME,
    set-header:NAME,VALUE, second-writer[:when=after], exchange-pauses[:after], repeat[:first], job-fails,
    job-omits:ID[+ID...]. OPERATION is one such as get, pause or bulk-pause, or a method.

    Other processes control the sandbox under /control, with the control token. Requests for hosts other than this
    machine, and requests of web pages of other origins, are refused.

    \b
    Examples:
      fielding sandbox
      fielding sandbox --port 8080 --runs 100 --rate 20 --require-token
      fielding sandbox --fault cut:after@pause --fault 3*status:503@GET
    """
    options = Options(
        token_required=require_token or not is_loopback(values["host"]),
        **values,
    )
    stopped, stops = asyncio.Event(), list[signal.Signals]()
    serving: list[bool] = []

    def on_signal(signum: signal.Signals) -> bool:
        """Stop without a message of an interruption: this is how a sandbox is meant to be stopped."""
        if not serving or stops:
            return False
        stops.append(signum)
        stopped.set()
        return True

    async def work() -> int:
        made = make_sandbox(options)
        box = made.box
        try:
            await box.__aenter__()
        except OSError as error:
            write_stderr(f"fielding: cannot listen on {options.host}, port {options.port}: {_reason(error)}")
            return Exit.USAGE
        try:
            if as_json:
                write_json(sandbox_object(made))
            else:
                write_stdout("\n".join(sandbox_lines(made)))
            if not is_loopback(options.host):
                write_stderr(network_note(box))
            serving.append(True)
            await stopped.wait()
        finally:
            failures = box.failures
            box.clear_failures()
            await box.__aexit__(None, None, None)
        for failure in failures:
            write_stderr(f"fielding: sandbox: an exception was raised inside: {type(failure).__name__}: {failure}")
        if not failures:
            write_stderr("The sandbox has stopped.")
        return Exit.FAILED if failures else 128 + stops[0]

    perform(work, doing="sandbox", as_json=as_json, on_signal=on_signal)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; choose another with --port, or leave it out"
    known = error.errno in errno.errorcode if error.errno else False
    return os.strerror(error.errno) if known and error.errno else error.strerror or str(error)
