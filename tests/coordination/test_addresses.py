"""An address of the store is refused or taken when `Shared` is made, and its password is shown nowhere."""

import pickle

import pytest

from fielding_async import ConfigurationError
from fielding_async.coordination import Shared
from tests.proofs.secrets import frames

PASSWORD = "Zq8pW-a-password-77xY"
REFUSED = [
    *("http://:{}@host", "redis+sentinel://:{}@host", "//:{}@host", "{}", "redis://:{}@", "redis:{}"),
    *("redis://:{}@host:port", "redis://:{}@host:99999", "redis://:{}@host:0", "redis://:{}@[::1", "redis://u@{}:h"),
    *("redis://:{}@host/name", "redis://:{}@host/-1", "redis://:{}@host?db=name", "redis://:{}@host/0#part"),
    *("redis://:{}\n@host", "redis://:{}@host\x00", "redis://:{}@ho st"),
    *("redis://:a/{}@host", "redis://:a?{}@host", "redis://:a#{}@host"),  # not written as %XX
    *("unix://:{}@", "unix://:{}@/", "unix://:{}@host/path", "unix://:{}@/path?db=name"),
    *("redis://:{}@host?socket_timeout=1", "redis://:{}@host?retry_on_timeout=1", "redis://:{}@host?port=1"),
    *("redis://:{}@host?ssl_cert_reqs=none", "redis://:{}@host?pass={}", "redis://host?credential_provider={}"),
    *("rediss://:{}@host?ssl_cert_reqs=some", "rediss://:{}@host?ssl_ca_certs=/none", "rediss://:{}@h?ssl_ca_data={}"),
    "rediss://:{}@host?ssl_certfile=/none&ssl_keyfile=/none&ssl_password={}",
]


def refusal(url: object) -> ConfigurationError:
    """Return the error of an address, without the frame of this test."""
    with pytest.raises(ConfigurationError) as caught:
        Shared(url, scope="test")  # type: ignore[arg-type]
    error = caught.value
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)


@pytest.mark.parametrize("url", REFUSED)
def test_a_wrong_address_is_refused_and_its_password_is_not_shown(url: str) -> None:
    """The error names the argument; no text, no variable and no error behind it shows the password."""
    error = refusal(url.replace("{}", PASSWORD))
    assert str(error).startswith("Shared(url): ")
    shown = f"{error} {frames.of_error(error)} {frames.rich_text(error, None)}"
    assert PASSWORD not in shown
    assert PASSWORD[:8] not in shown


def test_a_wrong_address_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is what has to be mended."""
    monkeypatch.setenv("FIELDING_SHARED_URL", f"http://:{PASSWORD}@host")
    error = refusal(None)
    assert str(error).startswith("Shared(FIELDING_SHARED_URL): must be redis://")
    assert PASSWORD not in frames.of_error(error)


@pytest.mark.parametrize("missing", [None, ""])
def test_without_an_address_both_places_are_named(monkeypatch: pytest.MonkeyPatch, missing: str | None) -> None:
    """An empty variable is none."""
    if missing is not None:
        monkeypatch.setenv("FIELDING_SHARED_URL", missing)
    assert "pass url= or set FIELDING_SHARED_URL: it must be redis://" in str(refusal(None))


@pytest.mark.parametrize("url", [b"redis://host", 6379, object()])
def test_what_is_no_text_is_refused(url: object) -> None:
    """Bytes as well."""
    assert f"must be a str, not {type(url).__name__}" in str(refusal(url))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://user:{}@localhost:6380/3", "redis://localhost:6380/3"),
        ("redis://[::1]:6380/3", "redis://[::1]:6380/3"),
        ("REDIS://:{}@Host", "redis://host"),
        ("redis://host?db=2&password={}&client_name=x", "redis://host"),
        ("unix:///run/redis.sock?db=2&password={}", "unix:///run/redis.sock"),
        ("unix://:{}@/run/redis.sock", "unix:///run/redis.sock"),
        ("rediss://:{}@host?ssl_cert_reqs=none", "rediss://host"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    """Host, port and database are what somebody who looks for a fault needs."""
    shared = Shared(url.replace("{}", PASSWORD), scope="test")
    assert repr(shared) == f"<Shared {shown} scope='test'>"
    assert PASSWORD not in repr(vars(shared)) + repr(vars(shared._address))


def test_certificates_are_checked_by_name_in_every_version_of_the_library() -> None:
    """redis-py before 6 does not, unless it is told; without certificates there is no name to check."""
    addresses = [Shared(url, scope="test")._address for url in ("rediss://host", "rediss://host?ssl_cert_reqs=none")]
    contexts = [address.connection().ssl_context.get() for address in addresses if address is not None]
    assert [context.check_hostname for context in contexts] == [True, False]


def test_an_address_is_not_written_into_a_pickle() -> None:
    """A password would be in it."""
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(Shared(f"redis://:{PASSWORD}@host", scope="test"))
