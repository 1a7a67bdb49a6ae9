"""The URL of a database is checked, and its password is shown nowhere."""

import subprocess
import sys

import pytest

from fielding_async import ConfigurationError
from fielding_async.plans import PostgresPlans
from fielding_async.plans.database.address import read_address
from tests.plans.rows import NO_ENVIRONMENT
from tests.proofs.secrets import frames

PASSWORD = "k9Zt%2Fq7-Lm3/Xw"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://user:{PASSWORD.replace('/', '%2F')}@db.example.com:5433/work", "db.example.com:5433"),
        ("postgres://db.example.com/work", "db.example.com"),
        ("POSTGRESQL://a:1,b:2/work?target_session_attrs=read-write", "a:1,b:2"),
        ("postgresql:///work?host=/var/run/postgresql", "/var/run/postgresql"),
        ("postgresql:///work", "the local socket"),
    ],
)
def test_messages_name_host_and_database(url: str, shown: str) -> None:
    """They show neither user nor password."""
    address = read_address(url, NO_ENVIRONMENT, connect_timeout=5.0)
    assert address.shown == f"PostgreSQL at {shown}, database 'work'"
    assert "k9Zt" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db.example.com",
        f"mysql://user:{PASSWORD}@host/db",
        "postgresql+asyncpg://user:k9Zt-q7-Lm3-Xw@host/db",
        "redis://:k9Zt-q7-Lm3-Xw@host",
        "postgresql://user:k9Zt/q7-Lm3-Xw@host/db",
        "postgresql://user:k9Zt-Lm3?Xw@host/db",
        "postgresql://user:k9Zt-Lm3#Xw@host/db",
        "postgresql://user:k9Zt-q7-Lm3-Xw@host/db?connect_timeout=soon",
        "postgresql://user:k9Zt-q7-Lm3-Xw@host/db?connect_timeout=0",
        "postgresql://user:k9Zt-q7-Lm3-Xw",
        "host=db password=k9Zt-q7-Lm3-Xw",
    ],
)
@pytest.mark.parametrize("is_environment", [False, True])
def test_a_bad_url_is_refused_and_not_shown(url: str, is_environment: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how a URL looks and where this one came from; no local variable of a traceback shows it."""
    if is_environment:
        monkeypatch.setenv("FIELDING_PLANS_URL", url)
    with pytest.raises(ConfigurationError) as caught:
        PostgresPlans(None if is_environment else url)
    assert caught.value.message.startswith("FIELDING_PLANS_URL" if is_environment and url else ("url", "no database"))
    # the frame of this test itself has the URL
    assert caught.tb.tb_next is not None
    shown = frames.of_error(caught.value.with_traceback(caught.tb.tb_next))
    assert "Lm3" not in shown


@pytest.mark.parametrize(
    "rest",
    ["db:99999/work", "db:0/work", "db:x/work", "a:5432,b:65536/work", "[::1]:70000/work", "::1/work", "db?port=99999"],
)
def test_a_port_that_cannot_be_one_is_refused(rest: str) -> None:
    """No later call could succeed. The port is not shown, as a password may stand in its place."""
    with pytest.raises(ConfigurationError, match=r"^url: .*a port is a whole number, 1 to 65535.*written as \[::1\]$"):
        read_address(f"postgresql://{rest}", NO_ENVIRONMENT, connect_timeout=5.0)


@pytest.mark.parametrize(
    "rest", ["db:65535/work", "db:/work", "a:1,b/work", "[::1]:5432/work", "[::1]/work", "%2Frun:5432/w", "db?port=1,2"]
)
def test_each_port_that_can_be_one_is_taken(rest: str) -> None:
    """Also several, none, and those beside IPv6 addresses and sockets."""
    read_address(f"postgresql://{rest}", NO_ENVIRONMENT, connect_timeout=5.0)


def test_no_url_at_all_names_the_variable() -> None:
    """There is no default database."""
    with pytest.raises(ConfigurationError, match=r"pass url= or set FIELDING_PLANS_URL.*postgresql://user:password@"):
        PostgresPlans()
    with pytest.raises(ConfigurationError, match=r"url: must be a URL .*, not int"):
        PostgresPlans(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("driver", "hint"),
    [("asyncpg", "asyncpg"), ("psycopg", "psycopg")],
)
def test_a_driver_that_is_not_installed_names_what_to_install(
    driver: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is that of pip, with the extra."""
    monkeypatch.setattr("fielding_async.plans.database.choice.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'fielding-async\[{hint}\]'"):
        PostgresPlans("postgresql://host/db", driver=driver)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"pip install 'fielding-async\[asyncpg\]'"):
        PostgresPlans("postgresql://host/db")


def test_asyncpg_is_taken_if_both_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of another name is refused."""
    with pytest.raises(ConfigurationError, match='driver=\'pg8000\': must be "asyncpg", "psycopg" or None'):
        PostgresPlans("postgresql://host/db", driver="pg8000")  # type: ignore[arg-type]
    monkeypatch.setattr("fielding_async.plans.database.choice.find_spec", lambda name: name == "psycopg" or None)
    assert PostgresPlans("postgresql://host/db")._driver == "psycopg"
    monkeypatch.undo()
    assert PostgresPlans("postgresql://host/db")._driver == "asyncpg"


def test_no_driver_is_loaded_before_it_is_used() -> None:
    """To import the module, and to make a `PostgresPlans`, loads neither; nor does the package load any of it."""
    code = (
        "import sys, fielding_async, fielding_async.cli.app; print('fielding_async.plans' in sys.modules);"
        "from fielding_async.plans import PostgresPlans; PostgresPlans('postgresql://host/db');"
        "print({'asyncpg', 'psycopg', 'redis', 'procrastinate', 'taskiq'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.split("\n")[:2] == ["False", "set()"]


@pytest.mark.parametrize("password", ["hunter2", "x", "k9Zt-q7-Lm3-Xw", "k9Zt%2Fq7%20Lm3"])
def test_a_text_that_shows_the_password_is_cleaned(password: str) -> None:
    """Whether the password is short or long, as it is written in the URL or as it is meant."""
    address = read_address(f"postgresql://user:{password}@host/db", NO_ENVIRONMENT, connect_timeout=5.0)
    for form in (password, password.replace("%2F", "/").replace("%20", " ")):
        cleaned = address.clean(f'invalid value "{form}" for a parameter')
        assert form not in cleaned.replace("shows", "")
    assert address.clean("all is up") == "all is up"
