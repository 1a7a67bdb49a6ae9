"""Which proxy is used for an origin, by the environment and the arguments; nothing of a password is shown."""

import traceback
import warnings
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fielding_async import ClientCredentials, ConfigurationError, FieldingSession
from fielding_async.core.addresses import check_url
from fielding_async.http.proxies import Proxies, Proxy, bypasses, parse_proxy, resolve_proxies
from tests.tools.sessions import TOKEN

API, TOKENS = "https://api.example/v1", "https://auth.example/oauth/token"
URLS = [("base_url", API), ("token_url", TOKENS)]
WORD = "hunter2-of-the-proxy"


def of_environment(**environment: str) -> Proxies:
    """The proxies of a session that names none."""
    return resolve_proxies(None, None, environment, [])


def used(url: str, **environment: str) -> str | None:
    """The URL of the proxy for a URL in an environment."""
    proxy = of_environment(**environment).for_url(url)
    return None if proxy is None else proxy.url


# -- the environment


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://a:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2", "ALL_PROXY": "http://c:3"}, "http://a:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:2"}, "http://b:2"),
        ({"all_proxy": "http://c:3"}, "http://c:3"),
        ({"ALL_PROXY": "http://c:3", "HTTPS_PROXY": "http://b:2"}, "http://b:2"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://a:1"}, None),
        ({"https_proxy": "a:1"}, "http://a:1"),
        ({"https_proxy": "https://a"}, "https://a:443"),
        ({"https_proxy": "http://me:word@[::1]:3128/"}, "http://[::1]:3128"),
        ({"https_proxy": "http://a:1", "no_proxy": "", "NO_PROXY": "api.example"}, None),
        ({"https_proxy": "http://a:1", "no_proxy": "other", "NO_PROXY": "api.example"}, "http://a:1"),
    ],
)
def test_the_environment_is_read_as_curl_reads_it(environment: dict[str, str], proxy: str | None) -> None:
    """Small letters go before capitals, `https_proxy` before `all_proxy`; an empty variable counts as unset."""
    assert used(API, **environment) == proxy


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:1/v1", "https://localhost/v1"]
)
def test_loopback_never_goes_through_the_proxy_of_the_environment(url: str) -> None:
    """Whatever variables there are, a loopback host is spoken to directly."""
    names = ("http_proxy", "https_proxy", "all_proxy")
    every = dict.fromkeys((*names, *(name.upper() for name in names)), "http://a:1")
    assert used(url, **every) is None


def test_each_origin_has_a_proxy_of_its_own() -> None:
    """An exception for the token endpoint is none for the API, and the other way round."""
    found = of_environment(https_proxy="http://a:1", no_proxy="auth.example")
    assert (used(API, https_proxy="http://a:1", no_proxy="auth.example"), found.for_url(TOKENS)) == ("http://a:1", None)
    assert found.choice(API)[1] == "from https_proxy"
    assert found.choice(TOKENS)[1] == "no_proxy names it"


# -- NO_PROXY


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "is_named"),
    [
        ("*", "api.example", 443, True),
        ("example", "api.example", 443, True),
        (".example", "api.example", 443, True),
        ("*.example", "api.example", 443, True),
        (".api.example", "api.example", 443, True),
        ("API.Example.", "api.example", 443, True),
        ("api.example", "api.example.", 443, True),
        ("pi.example", "api.example", 443, False),
        ("api.example.org", "api.example", 443, False),
        ("a,b  api.example ,c", "api.example", 443, True),
        ("localhost:9441", "localhost", 9441, True),
        ("localhost:9441", "localhost", 9442, False),
        ("example:443", "api.example", 443, True),
        ("127.0.0.0/8", "127.1.2.3", 443, True),
        ("127.0.0.0/8", "128.1.2.3", 443, False),
        ("10.1.2.3/8", "10.9.9.9", 443, True),
        ("10.0.0.0/8:8443", "10.9.9.9", 8443, True),
        ("127.0.0.1", "127.0.0.1", 443, True),
        ("127.0.0.1:80", "127.0.0.1", 443, False),
        ("[::1]", "::1", 443, True),
        ("::1", "::1", 443, True),
        ("[::1]:8443", "::1", 8443, True),
        ("[::1]:8443", "::1", 443, False),
        ("fd00::/8", "fd12::1", 443, True),
        ("[fd00::]/8", "fd12::1", 443, True),
        ("0:0:0:0:0:0:0:1", "::1", 443, True),
        ("127.0.0.0/8", "127.0.0.1.example", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("", "api.example", 443, False),
        (".", "api.example", 443, False),
        (" , ,", "api.example", 443, False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it_with_ports(exceptions: str, host: str, port: int, is_named: bool) -> None:
    """Names with their subdomains, addresses, networks, `*`, and ports where they are given."""
    assert bypasses(exceptions, host, port) is is_named


LABELS = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PORTS = st.integers(1, 65_535)


@given(HOSTS, HOSTS, PORTS)
def test_a_name_is_named_with_its_subdomains_and_no_others(host: str, entry: str, port: int) -> None:
    """A name names itself and what ends in a dot and the name."""
    assert bypasses(entry, host, port) is (f".{host}".endswith(f".{entry}"))
    assert bypasses(entry, f"sub.{entry}", port)
    assert not bypasses(entry, f"x{entry}", port)


@given(HOSTS, PORTS, PORTS, st.sampled_from(["{}:{}", ".{}:{}", "{}.:{}"]))
def test_a_port_must_be_equal(host: str, port: int, other: int, form: str) -> None:
    """An entry with a port names the host at that port alone."""
    assert bypasses(form.format(host, port).replace(".:", ":"), host, other) is (port == other)


NETWORKS = st.builds(
    lambda address, bits: ip_network(f"{address}/{bits}", False), st.ip_addresses(v=4), st.integers(0, 32)
)
NETWORKS |= st.builds(
    lambda address, bits: ip_network(f"{address}/{bits}", False), st.ip_addresses(v=6), st.integers(0, 128)
)


@given(st.ip_addresses(), NETWORKS, PORTS)
@example(IPv4Address("10.1.2.3"), IPv4Network("10.0.0.0/8"), 443)
def test_a_network_names_its_addresses(
    host: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network, port: int
) -> None:
    """An address is named by the networks that it is in, and by itself."""
    assert bypasses(str(network), str(host), port) is (host in network)
    assert bypasses(f"a, {host}", str(host), port)
    assert bypasses(f"[{host}]:{port}", str(host), port)


@given(st.text(max_size=60), HOSTS | st.ip_addresses().map(str), PORTS)
@example("[", "::1", 1)
@example("::/0:", "::1", 1)
def test_no_list_of_exceptions_is_an_error(exceptions: str, host: str, port: int) -> None:
    """What cannot be read names nothing, and does no harm to the entries beside it."""
    assert bypasses(f"{exceptions},{host}", host, port)
    assert bypasses(exceptions, host, port) in {True, False}


# -- what the caller names


def test_a_proxy_that_the_caller_names_goes_for_https_whatever_the_environment_says() -> None:
    """The argument goes before the variables, and `NO_PROXY` is about the variables."""
    found = resolve_proxies("http://mine:1", None, {"https_proxy": "http://a:1", "no_proxy": "*"}, URLS)
    assert [found.choice(url)[1] for _, url in URLS] == ["from proxy"] * 2


LOCAL = "http://127.0.0.1:8080/v1"


async def test_a_proxy_for_plain_http_is_refused_with_the_way_to_debug() -> None:
    """Plain http and a proxy that the caller names do not go together, be it that of base URL or token endpoint."""
    with pytest.raises(ConfigurationError, match=r"^proxy: .*base_url='http://127.* --mode reverse:http://127"):
        FieldingSession(TOKEN, base_url=LOCAL, proxy="http://127.0.0.1:1")
    auth = ClientCredentials("client", "secret", token_url=LOCAL)
    with pytest.raises(ConfigurationError, match=r"^proxy: .*token_url='http://127.* reverse mode"):
        FieldingSession(auth, base_url=API, proxy="http://127.0.0.1:1")
    async with aiohttp.ClientSession(proxy="http://127.0.0.1:1") as http:
        with pytest.raises(ConfigurationError, match=r"^http: its proxy: .* reverse mode"):
            FieldingSession(TOKEN, base_url=LOCAL, http=http)
        FieldingSession(TOKEN, base_url=API, http=http)


async def test_a_callers_session_brings_its_proxy_and_says_whether_the_environment_counts() -> None:
    """Its credentials come along as a header; without `trust_env` no variable is read."""
    variables = {"https_proxy": "http://a:1"}
    async with aiohttp.ClientSession(proxy=f"http://me:{WORD}@mine:1") as http:
        proxy = resolve_proxies(None, http, variables, URLS).for_url(API)
        assert proxy is not None
        assert (proxy.url, list(proxy.headers)) == ("http://mine:1", ["Proxy-Authorization"])
    for is_trusted, url in ((True, "http://a:1"), (False, None)):
        async with aiohttp.ClientSession(trust_env=is_trusted) as http:
            proxy = resolve_proxies(None, http, variables, URLS).for_url(TOKENS)
            assert (proxy and proxy.url) == url
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        auth = aiohttp.BasicAuth("user", "p@ss:word/")
        http = aiohttp.ClientSession(proxy="http://mine:1", proxy_auth=auth)
    async with http:
        proxy = resolve_proxies(None, http, {}, URLS).for_url(API)
        assert proxy is not None
        assert proxy.headers == {"Proxy-Authorization": auth.encode()}


# -- credentials


def test_credentials_are_a_header_that_no_repr_shows() -> None:
    """They are decoded, and stand neither in the URL nor in any `repr`."""
    proxy = parse_proxy("proxy", f"http://me%40home:{WORD}%2F@proxy.example:3128")
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.headers["Proxy-Authorization"] == "Basic bWVAaG9tZTpodW50ZXIyLW9mLXRoZS1wcm94eS8="
    found = resolve_proxies(None, None, {"https_proxy": f"http://me:{WORD}@a:1"}, URLS)
    for shown in (repr(proxy), repr(found), repr(found.environment), repr(proxy.headers), repr(proxy.secrets)):
        assert WORD not in shown
        assert "aHVudGVy" not in shown
        assert "bWVA" not in shown


def test_the_secrets_of_proxies_can_be_taken_out_of_texts() -> None:
    """The password as it is, as it was written, with its user, and as it is sent."""
    for found in (
        resolve_proxies(f"http://me:{WORD}%2F@a:1", None, {}, URLS),
        of_environment(https_proxy=f"me:{WORD}%2F@a:1"),
    ):
        assert set(found.secrets()) == {
            f"{WORD}/",
            f"{WORD}%2F",
            f"me:{WORD}/",
            "bWU6aHVudGVyMi1vZi10aGUtcHJveHkv",
        }
    assert Proxies(Proxy("http://a:1", "proxy")).secrets() == []
    assert of_environment(https_proxy="http://me:word@").secrets() == []


NO_PROXY_URLS = [
    f"http://me:{WORD}@127.0.0.1:99999",
    f"http://me:{WORD[:3]}#{WORD[3:]}@127.0.0.1:1",
    f"http://me:1/{WORD}@127.0.0.1:1",
    f"http://me:1?{WORD}@127.0.0.1:1",
    f"http://me?{WORD}@127.0.0.1:1",
    f"ftp://me:{WORD}@127.0.0.1:1",
    f"socks5://me:{WORD}@127.0.0.1:1",
    f"http://me:{WORD}@",
    f"http://me:{WORD}@/",
    f"http://me:{WORD}@[::1",
    f"http://me:{WORD}@127.0.0.1:x",
    f"http://me%3Ayou:{WORD}@127.0.0.1:1",
    f"http://me:{WORD}@127.0.0.1:1\n",
    f"http://me:{WORD} @127.0.0.1:1",
    "http://",
    "http://a:1?",
    "a b",
]


@pytest.mark.parametrize("url", NO_PROXY_URLS)
@pytest.mark.parametrize("source", ["proxy", "http: its proxy", "https_proxy"])
async def test_what_is_no_proxy_is_refused_without_showing_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str, source: str
) -> None:
    """The message names where it came from, the rule and the way to write a password, and not what it is."""
    if source == "https_proxy":
        monkeypatch.setenv(source, url)
    async with aiohttp.ClientSession(proxy=url) as http:
        with pytest.raises(ConfigurationError) as caught:
            FieldingSession(
                TOKEN,
                base_url=API,
                proxy=url if source == "proxy" else None,
                http=http if source == "http: its proxy" else None,
            )
    told = "".join(traceback.format_exception(caught.value))
    told += "".join(
        repr(frame.f_locals) for frame, _ in traceback.walk_tb(caught.tb) if frame.f_code.co_filename != __file__
    )
    assert str(caught.value).startswith(f"{source}: must be http://HOST:PORT")
    assert WORD not in told
    assert WORD[3:] not in told


@pytest.mark.parametrize("value", ["", b"http://a:1", 1, ("a", 1), True])
def test_an_argument_that_is_no_text_is_refused(value: object) -> None:
    """Only a URL names a proxy."""
    with pytest.raises(ConfigurationError, match=r"^proxy: must be"):
        FieldingSession(TOKEN, base_url=API, proxy=value)  # type: ignore[arg-type]


def test_a_variable_that_is_no_proxy_does_no_harm_where_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox on this machine needs no proxy, so that none can be wrong."""
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://")
    FieldingSession(TOKEN, base_url=LOCAL)


# -- which hosts plain http is for


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "[::1]", "[0:0:0:0:0:0:0:1]"])
def test_plain_http_is_for_loopback(host: str) -> None:
    """The name `localhost`, 127.0.0.0/8 and ::1."""
    assert check_url("base_url", f"http://{host}:8080/v1") == f"http://{host}:8080/v1"


@pytest.mark.parametrize(
    "host",
    [
        *("api.localhost", "localhost.", "localhost.example", "127.0.0.1.example", "128.0.0.1", "0.0.0.0", "[::]"),
        *("[::ffff:127.0.0.1]", "[::1%25lo]", "0x7f.1", "127.1", "2130706433"),
    ],
)
def test_plain_http_is_for_no_other_name(host: str) -> None:
    """`*.localhost` included: name servers decide where it leads."""
    with pytest.raises(ConfigurationError, match=r"plain http is for loopback hosts only \(localhost, 127"):
        check_url("base_url", f"http://{host}:8080/v1")
