"""`fielding plans demo`: a worker is killed, and each write is applied once; or one line says what is missing."""

import re

import pytest

from tests.cli.command_line import Cli
from tests.tools.services.fixtures import needs_postgres

pytestmark = [pytest.mark.slow, pytest.mark.once]


def test_the_demo_starts_a_database_and_checks_the_history(cli: Cli) -> None:
    """On a PostgreSQL of its own, with rows in flight when a worker is killed."""
    needs_postgres()
    ended = cli("plans", "demo", "--runs", "12", "--json")
    assert ended.status == 0, ended.err
    (told,) = ended.objects
    assert (told["kind"], told["rows"], told["done"], told["problems"]) == ("demo", 36, 36, [])
    assert told["in_flight_when_killed"] > 0
    assert re.search("worker ([12]) is killed; worker (?!\\1)[12] continues", ended.err)


def test_the_demo_uses_the_database_that_is_set(cli: Cli, database: str) -> None:
    """And leaves no plan there."""
    ended = cli("plans", "demo", "--runs", "10")
    assert ended.status == 0, ended.err
    assert "30 writes asked for, each applied exactly once, in order." in ended.out
    assert cli("plans", "list").out == ""


def test_without_postgresql_it_is_said_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with exit status 1."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    ended = cli("plans", "demo")
    assert ended.status == 1
    assert ended.err.startswith(
        "fielding: plans demo: there is no initdb on this machine, which the demo needs: install"
    )
    assert len(ended.err.splitlines()) == 1
