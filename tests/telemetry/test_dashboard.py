"""The dashboard of the examples queries what Prometheus gets from a session, and the page about it tells each panel."""

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from opentelemetry.sdk.metrics import MeterProvider

from fielding_async import ClientCredentials, Limits
from fielding_async.coordination import Shared
from fielding_async.sandbox import Sandbox
from fielding_async.telemetry.signal_names import GAUGES, METRICS
from tests.tools.services.redis import RedisServer
from tests.tools.sessions import session
from tests.tools.waits import HANG

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "dashboard"
PAGE = ROOT / "docs" / "how-to" / "dashboard.md"
if not FOLDER.exists():
    pytest.skip("not run from a checkout", allow_module_level=True)
promql = pytest.importorskip("promql_parser")
exporter = pytest.importorskip("opentelemetry.exporter.prometheus")

pytestmark = pytest.mark.once

BOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES: list[tuple[str, str, str]] = [
    (panel["title"], target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]
]
VARIABLES: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in BOARD["templating"]["list"]}
OF_PROMETHEUS = {"job", "instance"}  # labels that it adds itself

Series = dict[str, list[dict[str, str]]]
"""The label sets of each exported name."""


def load_demo() -> Any:
    """Return the module of the dashboard's demo, which is in no package."""
    spec = importlib.util.spec_from_file_location("dashboard_demo", FOLDER / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def exported(redis_of_process: RedisServer) -> AsyncIterator[Series]:
    """What Prometheus would be given, after a session in which each kind of event happened."""
    from prometheus_client import REGISTRY

    demo = load_demo()
    meters = MeterProvider([exporter.PrometheusMetricReader()])
    series: Series = {}
    try:
        async with Sandbox() as exchange:
            exchange.add_client(*demo.CLIENT)
            auth = ClientCredentials(*demo.CLIENT, token_url=exchange.token_url)
            shared = Shared(redis_of_process.url)
            arguments = {"auth": auth, "shared": shared, "name": "test", "limits": Limits(rate=1000)}
            async with session(exchange, meter_provider=meters, **arguments) as fielding:
                await demo.one_of_each(fielding, exchange, pause=0.02)
                for family in REGISTRY.collect():
                    for sample in family.samples:
                        series.setdefault(sample.name, []).append(dict(sample.labels))
    finally:
        meters.shutdown()
    yield series


def plain(query: str) -> str:
    """Return a query with values in place of Grafana's variables."""
    query = query.replace("$__rate_interval", "1m")
    return re.sub(r"\$(\w+)", lambda found: VARIABLES[found[1]]["allValue"], query)


def nodes(expression: Any) -> Iterator[Any]:
    """Return an expression of PromQL and all that it is made of."""
    yield expression
    inner = [getattr(expression, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    for part in [*inner, *getattr(expression, "args", ())]:
        if part is not None:
            yield from nodes(part)


def selectors(expression: Any) -> list[Any]:
    """Return the selectors of an expression."""
    return [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]


def fits(matcher: Any, labels: dict[str, str]) -> bool:
    """Whether a matcher of a selector selects these labels; of those that Prometheus adds, any value."""
    if matcher.name in OF_PROMETHEUS:
        return True
    value = labels.get(matcher.name, "")
    is_regex = matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
    is_equal = re.fullmatch(matcher.value, value) is not None if is_regex else value == matcher.value
    return is_equal == (matcher.op in (promql.MatchOp.Re, promql.MatchOp.Equal))


@pytest.mark.asyncio(loop_scope="module")
async def test_each_query_finds_what_a_session_exports(exported: Series) -> None:
    """Every name in the queries is exported, with each label that is matched, grouped by or shown."""
    for title, query, legend in QUERIES:
        expression = promql.parse(plain(query))
        labels = OF_PROMETHEUS.copy()
        for selector in selectors(expression):
            assert selector.name in exported, (title, query)
            matchers = selector.matchers.matchers
            known = set().union(*exported[selector.name]) | OF_PROMETHEUS
            assert {matcher.name for matcher in matchers} <= known, (title, query)
            found = [one for one in exported[selector.name] if all(fits(matcher, one) for matcher in matchers)]
            assert found, (title, query)
            labels.update(*found)
        grouped = [set(node.modifier.labels) for node in nodes(expression) if getattr(node, "modifier", None)]
        assert set().union(*grouped) <= labels, (title, query)
        shown = set(re.findall(r"{{(\w+)}}", legend))
        assert shown <= set().union(*grouped), (title, legend)


@pytest.mark.asyncio(loop_scope="module")
async def test_each_metric_is_shown(exported: Series) -> None:
    """Each name that a session exports is in some query, by one of the names that Prometheus has of it."""
    asked = {selector.name for _, query, _ in QUERIES for selector in selectors(promql.parse(plain(query)))}
    for name in METRICS | GAUGES:
        own = name.replace(".", "_")
        assert any(re.fullmatch(rf"{own}(_[a-z_]+)?", one) for one in exported), name
        assert any(re.fullmatch(rf"{own}(_[a-z_]+)?", one) for one in asked), name


@pytest.mark.asyncio(loop_scope="module")
async def test_the_variables_offer_labels_that_are_exported(exported: Series) -> None:
    """Each variable lists the values of a label that there is; every query goes by all of them."""
    for name in ("job", "session"):
        metric, label = re.fullmatch(r"label_values\((\w+)(?:{.*})?, (\w+)\)", VARIABLES[name]["definition"]).groups()  # type: ignore[union-attr]
        assert label in set().union(*exported[metric]) | OF_PROMETHEUS
        for _, query, _ in QUERIES:
            assert query.count(f'{label}=~"${name}"') == len(selectors(promql.parse(plain(query))))


def test_each_panel_is_told_of() -> None:
    """Each panel has a description, and a row in the table of the page."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [panel["title"] for panel in PANELS]
    assert all(panel["description"] for panel in PANELS)
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


@pytest.mark.slow
async def test_the_demo_serves_metrics_until_it_is_stopped() -> None:
    """`demo.py` prints where its metrics are, serves them, and ends with 0 after a SIGTERM."""
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(FOLDER / "demo.py"), "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert demo.stdout is not None
        line = (await asyncio.wait_for(demo.stdout.readline(), HANG)).decode()
        async with ClientSession() as http, http.get(line.split()[1]) as response:
            assert response.status == 200
        demo.send_signal(signal.SIGTERM)
        _, printed = await asyncio.wait_for(demo.communicate(), HANG)
        assert (demo.returncode, printed) == (0, b"")
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()
