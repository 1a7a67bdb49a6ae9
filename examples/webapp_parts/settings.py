"""The settings of the app: from the environment, and from the command line, which takes precedence."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass

from fielding_async import ConfigurationError, RunRef

from .guard import LOOPBACK

__all__ = ["Settings", "settings_from"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of the app.

    `refs`: the runs that it shows. `hosts`: the names, without port, that it is served under. `every`: seconds between
    two fetches of the runs; with webhooks it can be long. `drain`: seconds that clicks in progress get when the app is
    stopped. `secret`: of the webhook; without one the app takes no deliveries.
    """

    refs: tuple[RunRef, ...]
    hosts: frozenset[str] = LOOPBACK
    every: float = 30.0
    drain: float = 10.0
    secret: str | None = None

    def __repr__(self) -> str:  # without the secret
        return f"<Settings: {len(self.refs)} runs, hosts {', '.join(sorted(self.hosts))}>"


def settings_from(environment: Mapping[str, str], options: argparse.Namespace | None = None) -> Settings:
    """Return the settings. `options`: those of the command line. Raises `ValueError` that names the setting."""
    given = {} if options is None else vars(options)
    texts: list[str] = given.get("refs") or environment.get("WEBAPP_RUNS", "").split()
    hosts: list[str] = given.get("allow_host") or environment.get("WEBAPP_HOSTS", "").split()
    try:
        refs = tuple(map(RunRef.parse, texts))
    except ConfigurationError as error:
        raise ValueError(f"WEBAPP_RUNS: {error}") from error
    return Settings(
        refs=refs,
        hosts=LOOPBACK | {host.lower() for host in hosts},
        every=_seconds("WEBAPP_EVERY", given.get("every"), environment, 30.0, least=1),
        drain=_seconds("WEBAPP_DRAIN", given.get("drain"), environment, 10.0, least=0),
        secret=environment.get("CINT_WEBHOOK_SECRET") or None,
    )


def _seconds(name: str, option: str | None, environment: Mapping[str, str], default: float, *, least: int) -> float:
    text = environment.get(name, "") if option is None else option
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= 86_400:
        raise ValueError(f"{name}: {text!r} is not a number of seconds from {least} to 86400")
    return value
