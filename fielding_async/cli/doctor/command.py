"""`fielding doctor`: checks settings, network, TLS, token, clock and ETags, and writes a line for each."""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from attrs import asdict

from fielding_async.__about__ import __version__
from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.options import json_option, run_ref
from fielding_async.cli.shared.output import write_json, write_stdout
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef

if TYPE_CHECKING:
    from .checks import Check

__all__ = ["doctor"]

_SETTINGS = {"base URL", "token", "settings", "proxy"}


@click.command()
@click.option(
    "--run",
    "run_id",
    metavar="RUN",
    help="Look at this run too (ACCOUNT/PROJECT/TARGET-GROUP/RUN), to see whether ETags come back as they should.",
)
@json_option
def doctor(run_id: str | None, as_json: bool) -> None:
    """Check settings, network, TLS, token, clock and ETags.

    Each line says ok, warning or failed, and what to do about it. Nothing is changed on the server: a run is looked
    at, or one is asked for that does not exist. No secret is ever shown.

    Exit status: 0 no check failed, 1 one failed, 2 the settings will not do.

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
                advice = f"\n{'':20}{check.advice}" if check.advice else ""
                write_stdout(f"{check.state:8} {check.name:10} {check.text}{advice}")
        return all(check.state != "failed" for check in checks)

    def end(self, *, sandbox: bool) -> int:
        """Write the counts; return the exit status."""
        failed = [check for check in self.checks if check.state == "failed"]
        warnings = sum(check.state == "warning" for check in self.checks)
        if self._as_json:
            write_json({"kind": "doctor", "sandbox": sandbox, "failed": len(failed), "warnings": warnings})
        else:
            well = "nothing failed" if not failed else f"{len(failed)} failed"
            write_stdout(f"\n{'SANDBOX: ' * sandbox}{well}, {warnings} warning{'' if warnings == 1 else 's'}")
        if any(check.name in _SETTINGS for check in failed):
            return Exit.USAGE
        return Exit.FAILED if failed else Exit.DONE


async def _examine(report: _Report, ref: RunRef | None) -> int:
    from fielding_async.core.addresses import resolve_base_url
    from fielding_async.http.client_sessions import AIOHTTP_VERSION
    from fielding_async.http.proxies import resolve_proxies

    from .checks import Check, origin_of, proxy_check, settings_checks
    from .connections import Origin
    from .probe import Probe

    python = f"{platform.python_implementation()} {platform.python_version()}"
    report.add(Check("version", "ok", f"fielding-async {__version__}, {python}, aiohttp {AIOHTTP_VERSION}"))
    base, *others = settings_checks(os.environ, datetime.now(UTC))
    report.add(base, *others)
    if base.state == "failed":
        report.add(Check("network", "warning", "not checked, nor what comes after it: the base URL comes first"))
        return report.end(sandbox=False)
    base_url = resolve_base_url(None, os.environ)
    probe, urls = Probe(base_url), _urls(base_url)
    try:
        proxies = resolve_proxies(None, None, os.environ, urls)
    except ConfigurationError as error:
        report.add(Check("proxy", "failed", error.message))
        report.add(Check("network", "warning", "not checked, nor what comes after it: the proxy comes first"))
        return report.end(sandbox=False)
    choices = [proxies.choice(url) for _, url in urls]
    for (_, url), (proxy, why) in zip(urls, choices, strict=True):
        report.add(proxy_check(origin_of(url), proxy, why))
    is_connected = True
    for (name, url), (proxy, _) in zip(urls, choices, strict=True):
        origin = Origin(url, name, proxy)
        is_connected &= report.add(await origin.reach()) and report.add(await origin.tls())
    if not is_connected:
        report.add(Check("access", "warning", "not checked, nor clock and ETags: there is no connection"))
    elif not _has_token():
        report.add(Check("access", "warning", "not checked, nor clock and ETags: there is no token"))
    else:
        report.add(*await probe.get_run(ref))
    if probe.sandbox:
        report.add(Check("server", "ok", "this is a SANDBOX: nothing done here happens on the exchange"))
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
