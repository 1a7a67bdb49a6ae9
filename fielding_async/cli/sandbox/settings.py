"""Makes the sandbox that the options of `fielding sandbox` describe."""

import gc
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus

if TYPE_CHECKING:
    from fielding_async.sandbox import DraftRef, Sandbox

__all__ = ["Made", "Options", "make_sandbox"]

_KEPT = 10_000  # requests and writes that the sandbox keeps a record of: it may run for days
_KEPT_BYTES = 64 << 20


@frozen(kw_only=True)
class Options:
    """The options, as click has read them."""

    host: str
    hosts: tuple[str, ...]
    port: int
    runs: int
    drafts: int
    rate: float | None
    limit_kind: str | None
    burst: int | None
    window: float | None
    in_flight: int | None
    retry_after: str | None
    latency: float
    jitter: float
    faults: tuple[str, ...]
    token_required: bool
    client_credentials: bool
    token_life: float | None
    seed: int
    control_token_file: str | None


@frozen(kw_only=True)
class Made:
    """A sandbox that is not started, with what it holds. `client`: id and secret of its client, if it has one.

    `control_token_file`: the file with the token of the control door; `is_token_given`: the token was in it before, so
    that it is a secret of the caller, which is not printed.
    """

    box: "Sandbox"
    refs: Sequence[RunRef]
    drafts: Sequence["DraftRef"]
    token: str
    client: tuple[str, str] | None
    control_token_file: str | None
    is_token_given: bool


def make_sandbox(options: Options) -> Made:
    """Return the sandbox. Raises `ConfigurationError` that names the option which is wrong."""
    from fielding_async.sandbox import Sandbox

    token = f"sandbox.{secrets.token_urlsafe(32)}"
    has_client = options.client_credentials or options.token_life is not None
    named: dict[str, Any] = {} if options.token_life is None else {"token_lifetime": options.token_life}
    control_token: str | None = None
    is_given = False
    if options.control_token_file is not None:
        control_token, is_given = _token_of(options.control_token_file)
    box = _as_option(
        Sandbox,
        host=options.host,
        hosts=options.hosts,
        port=options.port,
        seed=options.seed,
        require_token=token if options.token_required and not has_client else False,
        keep=_KEPT,
        keep_bytes=_KEPT_BYTES,
        control=control_token or True,
        **named,
    )
    _set_limits(box, options)
    if options.jitter and not options.latency:
        raise ConfigurationError("--jitter: needs --latency: give both, or leave it out")
    if options.latency:
        _as_option(box.latency, options.latency, jitter=options.jitter)
    _script(box, options.faults)
    client = None
    if has_client:
        client = ("sandbox-client", f"secret.{secrets.token_urlsafe(32)}")
        box.add_client(*client)
    statuses, width = tuple(RunStatus), max(4, len(str(options.runs)))
    gc.disable()  # nothing of what is added is garbage, and looking for it takes most of the time
    try:
        refs = [
            box.add_run(statuses[number % len(statuses)], fielding_run_id=f"RUN{number + 1:0{width}d}")
            for number in range(options.runs)
        ]
    finally:
        gc.enable()
    return Made(
        box=box,
        refs=refs,
        drafts=[box.add_draft() for _ in range(options.drafts)],
        token=token,
        client=client,
        control_token_file=options.control_token_file,
        is_token_given=is_given,
    )


def _set_limits(box: "Sandbox", options: Options) -> None:
    form: dict[str, Any] = {} if options.retry_after is None else {"retry_after": options.retry_after}
    if options.rate is None and options.in_flight is None and form:
        raise ConfigurationError("--retry-after: needs --rate or --in-flight: give one of them too")
    if options.rate is None:
        for name, value in (("--limit", options.limit_kind), ("--burst", options.burst), ("--window", options.window)):
            if value is not None:
                raise ConfigurationError(f"{name}: needs --rate: give it too")
    else:
        kind, window = options.limit_kind or "fixed-window", options.window
        if window is None and "bucket" not in kind:
            window = max(1.0, 1 / options.rate)
        _as_option(box.rate_limit, options.rate, kind=kind, burst=options.burst, window=window, **form)
    if options.in_flight is not None:
        _as_option(box.in_flight_limit, options.in_flight, **form)


def _script(box: "Sandbox", texts: Sequence[str]) -> None:
    from fielding_async.sandbox.control.fault_forms import fault_from_text

    for text in texts:
        faults, on = fault_from_text(text)
        box.script(*faults, on=on)


def _as_option(call: Any, *values: Any, **named: Any) -> Any:
    """Call, and name the option in the error of an argument."""
    try:
        return call(*values, **named)
    except ConfigurationError as error:
        raise ConfigurationError(error.message.replace("hosts=", "--allow-host ", 1)) from None


def _token_of(path: str) -> tuple[str, bool]:
    """Return the token in a file, and whether it was there before.

    If there is no file, it is made, readable by its owner only, with a new token.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        descriptor = None
    except OSError as error:
        raise ConfigurationError(
            f"--control-token-file {path!r}: cannot be made: {error.strerror}: name another file"
        ) from None
    if descriptor is not None:
        token = f"control.{secrets.token_urlsafe(32)}"
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
        return token, False
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        raise ConfigurationError(f"--control-token-file {path!r}: cannot be read: {why}: name another file") from None
    if len(token) < 16 or not token.isprintable() or " " in token:
        raise ConfigurationError(f"--control-token-file {path!r}: must hold one token of 16 or more characters")
    return token, True
