"""`fielding doctor`: checks settings, network, TLS, token, clock and ETags, and writes a line for each."""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from textwrap import wrap
from typing import TYPE_CHECKING

import click
from attrs import asdict

from fielding_async.__about__ import __version__
from fielding_async.cli.shared.arguments.options import json_option, run_ref
from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.output import counted, text_width, write_json, write_stdout
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef

if TYPE_CHECKING:
    from .checks import Check

__all__ = ["doctor"]

_SETTINGS = {"base URL", "token", "settings", "proxy"}
_OF_REPLIES = ("access", "clock", "between", "ETags")


@click.command()
@click.option(
    "--run",
    "run_id",
    metavar="RUN",
    help="Fetch this run too (ACCOUNT/PROJECT/TARGET_GROUP/RUN), to check that its ETag arrives unchanged.",
)
@json_option
def doctor(run_id: str | None, as_json: bool) -> None:
    """Check settings, network, TLS, token, clock and ETags.

    Each line says ok, warning, failed or skipped, and what to do about it. Nothing is changed on the server: the
    accounts of the token, or the run that --run names, are fetched. No secret is ever shown.

    Exit status: 0 no check failed, 1 one failed, 2 a setting cannot be used.

    \b
    Examples:
      fielding doctor
      fielding doctor --run 101/01J...P0/01J...P1/01J...P2 --json
    """
    ref = run_ref(run_id, None, None, None) if run_id is not None else None

    async def work() -> int:
        return await _examine(_Report(as_json=as_json), ref)

    perform(work, doing="doctor", as_json=as_json)


class _Report:
    """Writes each check at once, and counts them."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.checks: list[Check] = []

    def add(self, *checks: "Check") -> bool:
        """Write checks; return whether none of them failed."""
        for check in checks:
            self.checks.append(check)
            if self._as_json:
                write_json({"kind": "check"} | asdict(check))
            else:
                write_stdout("\n".join(_lines_of(check, text_width())))
        return all(check.state != "failed" for check in checks)

    def end(self, *, sandbox: bool) -> int:
        """Write the counts; return the exit status."""
        failed = [check for check in self.checks if check.state == "failed"]
        warnings, skipped = (sum(check.state == state for check in self.checks) for state in ("warning", "skipped"))
        if self._as_json:
            counts = {"failed": len(failed), "warnings": warnings, "skipped": skipped}
            write_json({"kind": "doctor", "sandbox": sandbox} | counts)
        else:
            well = "nothing failed" if not failed else f"{len(failed)} failed"
            text = f"\n{'SANDBOX: ' * sandbox}{well}, {counted(warnings, 'warning')}"
            write_stdout(text + (f", {skipped} not checked" if skipped else ""))
        if any(check.name in _SETTINGS for check in failed):
            return Exit.USAGE
        return Exit.FAILED if failed else Exit.DONE


def _lines_of(check: "Check", width: int | None) -> list[str]:
    """Return a check as lines of at most `width` characters; a path or URL that is longer is not broken."""
    lines: list[str] = []
    for text, indent in ((check.text, 20), (check.advice, 22)):
        if text:
            room = None if width is None else max(20, width - indent)
            parts = [text] if room is None else wrap(text, room, break_long_words=False, break_on_hyphens=False)
            lines += [f"{'':{indent}}{part}" for part in parts]
    return [f"{check.state:8} {check.name:10} {lines[0].strip()}", *lines[1:]]


async def _examine(report: _Report, ref: RunRef | None) -> int:
    from fielding_async.core.addresses import resolve_base_url
    from fielding_async.http.client_sessions import AIOHTTP_VERSION
    from fielding_async.http.proxies import resolve_proxies

    from .checks import Check, not_checked, origin_of, proxy_check, settings_checks
    from .connections import Origin
    from .probe import Probe
    from .replies import server_check

    python = f"{platform.python_implementation()} {platform.python_version()}"
    report.add(Check("version", "ok", f"fielding-async {__version__}, {python}, aiohttp {AIOHTTP_VERSION}"))
    base, *others = settings_checks(os.environ, datetime.now(UTC))
    report.add(base, *others)
    if base.state == "failed":
        report.add(not_checked("network", "the base URL cannot be used, so nothing more could be checked"))
        return report.end(sandbox=False)
    base_url = resolve_base_url(None, os.environ)
    probe, urls = Probe(base_url), _urls(base_url)
    try:
        proxies = resolve_proxies(None, None, os.environ, urls)
    except ConfigurationError as error:
        report.add(Check("proxy", "failed", error.message))
        report.add(not_checked("network", "the proxy cannot be used, so nothing more could be checked"))
        return report.end(sandbox=False)
    choices = [proxies.choice(url) for _, url in urls]
    for (_, url), (proxy, why) in zip(urls, choices, strict=True):
        report.add(proxy_check(origin_of(url), proxy, why))
    is_connected = True
    for (name, url), (proxy, _) in zip(urls, choices, strict=True):
        origin = Origin(url, name, proxy)
        is_connected &= report.add(await origin.reach()) and report.add(await origin.tls())
    if not is_connected:
        report.add(*(not_checked(name, "there is no connection") for name in _OF_REPLIES))
    elif not _has_token():
        report.add(*(not_checked(name, "there is no token") for name in _OF_REPLIES))
    else:
        report.add(*await probe.examine(ref))
    if probe.replies:
        report.add(server_check(base_url, is_sandbox=probe.sandbox))
    return report.end(sandbox=probe.sandbox)


def _urls(base_url: str) -> list[tuple[str, str]]:
    """Return the URLs that requests go to, of different origins, each with the variable that names it."""
    from fielding_async.core.credentials import ClientCredentials, resolve_auth

    from .checks import origin_of

    urls = [("FIELDING_BASE_URL", base_url)]
    with suppress(ConfigurationError):
        auth = resolve_auth(None, os.environ)
        if isinstance(auth, ClientCredentials) and origin_of(auth.token_url) != origin_of(base_url):
            urls.append(("FIELDING_TOKEN_URL", auth.token_url))
    return urls


def _has_token() -> bool:
    """Whether the settings have a token or client credentials, valid or not."""
    from fielding_async.core.credentials import resolve_auth

    try:
        resolve_auth(None, os.environ)
    except ConfigurationError:
        return False
    return True
