"""The shape of the package: who may import what, which names are public, what no file may speak of."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fielding_async

PACKAGE = Path(fielding_async.__file__).parent
ROOT = PACKAGE.parent

# A module imports only from lower floors; those above the line are pure.
FLOORS = [
    {"__about__", "climbs", "models", "redaction", "signals", "traceparent"},
    {"errors", "operations"},
    {"config", "dates", "etags", "ids", "results", "settings", "tokens"},
    {"actions", "headers", "learning", "structuring"},
    {"codec"},
    {"batches", "conflict", "journal_values", "ordering", "pacing", "wire"},
    {"endings", "journal_records", "retrying"},
    {"journal_replay"},
]
WORLDLY_FLOORS = [
    {
        "incoming",
        "intake",
        "journal_disk",
        "ledger",
        "limiter",
        "logs",
        "meters",
        "propagation",
        "schedule",
        "transport",
        "turns",
        "watchdog",
    },
    {"aiohttp_inheritance", "aiohttp_replies", "attempts", "journal_file"},
    {"aiohttp_shortcut", "providers"},
    {"aiohttp_transport"},
    {"telemetry"},
    {"auth", "calls", "journal"},
    {"flights", "rows", "run_writes"},
    {"exchange"},
    {"engine", "runs"},
    {"handles", "jobs"},
    {"row_tasks", "target_groups"},
    {"bulk"},
    {"perform_all", "projects"},
    {"session"},
]
TOWERS = {"__init__", "__main__", "pytest_plugin", "webhooks"}
PURE = sorted(set().union(*FLOORS))
WORLDLY = {"aiohttp", "asyncio", "backoff", "opentelemetry", "time", "random", "os", "logging"}
DOORS = {
    "aiohttp": {"aiohttp_transport", "aiohttp_shortcut", "aiohttp_replies", "aiohttp_inheritance", "session", "engine"},
    "backoff": {"schedule"},
    "cattrs": {"structuring"},
}


def imports(module: str) -> tuple[set[str], set[str]]:
    """Return the outside packages and the sibling modules that a module imports, wherever in it."""
    outside: set[str] = set()
    inside: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            outside.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            inside |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return outside, inside


def modules() -> set[str]:
    """Return the package's modules, subpackages aside."""
    return {path.stem for path in PACKAGE.glob("*.py")}


def test_every_module_has_its_floor() -> None:
    """No module of the package is on no floor, and no floor names one that does not exist."""
    assert set().union(*FLOORS, *WORLDLY_FLOORS) | TOWERS == modules()


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_do_not_touch_the_world(module: str) -> None:
    """A pure module imports no clock, dice, network, environment, log or event loop."""
    outside, _ = imports(module)
    assert outside & WORLDLY == set()


def test_modules_import_only_from_lower_floors() -> None:
    """Imports go downwards, so there is no cycle of any kind."""
    below: set[str] = set()
    for floor in FLOORS + WORLDLY_FLOORS:
        for module in floor:
            _, inside = imports(module)
            assert inside <= below, f"{module} imports {inside - below}"
        below |= floor


@pytest.mark.parametrize("library", DOORS)
def test_each_outside_library_has_its_door(library: str) -> None:
    """An outside library is imported where it is let in, and nowhere else."""
    importers = {module for module in modules() if library in imports(module)[0]}
    assert importers <= DOORS[library]


def test_the_sandbox_shares_only_values_with_the_client() -> None:
    """The sandbox has rules, JSON and ETag code of its own, so that one misreading cannot hide in both."""
    shared: set[str] = set()
    for path in (PACKAGE / "sandbox").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fielding_async."):
                shared.add((node.module or "").split(".")[1])
            assert not (isinstance(node, ast.ImportFrom) and node.level > 1), path
    assert shared <= {"models", "errors", "__about__"}


PUBLIC = """
    APIError Action Auth AuthenticationError BadRequestError Batch BatchJob BatchResult BearerToken Change
    ClientCredentials Complete ConfigurationError DeadlineExceededError Done DraftJob DraftResult FailedTargetGroup
    Failure FailureDetail FieldingError FieldingRun FieldingSession InvalidParam InvalidRunStateError JobFailedError
    JournalCounts JournalError JournalRow JournalSummary LaunchNow Leftover Limits NotFoundError Outcome
    OutcomeUnknownError OutcomeUnknownTimeoutError Pause PerformAll PermissionDeniedError PreconditionFailedError
    Project ProtocolError RateLimitError Relaunch Resume Retry Run RunRef RunStatus ServerError SessionClosedError
    SkippedError TargetGroup Timeout TransportError Update __version__ journal_rows read_journal trace_context
"""


def test_the_public_names_are_pinned() -> None:
    """`__all__` holds exactly the public names, each can be loaded, and the type checker is told of each."""
    assert sorted(fielding_async.__all__) == sorted(PUBLIC.split())
    for name in fielding_async.__all__:
        assert getattr(fielding_async, name) is not None
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {
        (alias.name, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == set(fielding_async._HOME_OF.items())
    assert set(fielding_async.__all__) <= set(dir(fielding_async))
    with pytest.raises(AttributeError, match="Nothing"):
        fielding_async.Nothing  # noqa: B018


def test_importing_the_package_loads_nothing() -> None:
    """`import fielding_async`, and the pytest plugin with it, loads none of the libraries it stands on."""
    code = "import sys, fielding_async, fielding_async.pytest_plugin; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"aiohttp", "attrs", "attr", "cattrs", "opentelemetry", "backoff", "asyncio"} & set(found) - _by_pytest()


def _by_pytest() -> set[str]:
    """Return what the plugin's own import of pytest brings along."""
    code = "import sys, pytest; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_every_public_name_has_a_docstring() -> None:
    """Each public class says what it is, and each of its public methods what it does."""
    undocumented: list[str] = []
    for name in fielding_async.__all__:
        value = getattr(fielding_async, name)
        if not isinstance(value, type):
            continue
        members = {f"{name}.{key}": member for key, member in vars(value).items() if not key.startswith("_")}
        for where, member in {name: value, **members}.items():
            member = member.fget if isinstance(member, property) else member
            if callable(member) and not getattr(member, "__doc__", None):
                undocumented.append(where)
    assert undocumented == []


def test_the_version_is_in_the_changelog() -> None:
    """The package's version is the newest one in the changelog."""
    changelog = (ROOT / "CHANGELOG.md").read_text() if (ROOT / "CHANGELOG.md").exists() else None
    if changelog is None:
        pytest.skip("not run from a checkout")
    newest = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == importlib.import_module("fielding_async.__about__").__version__
