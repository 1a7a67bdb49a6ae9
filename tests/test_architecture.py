"""The house: which folder may import which, what stays pure, where each library comes in, which names are public."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import fielding_async
from tests.tools.imports import Module, circle_in, read_modules

pytestmark = [pytest.mark.slow, pytest.mark.once]

PACKAGE = Path(fielding_async.__file__).parent
ROOT = PACKAGE.parent
MODULES = read_modules(PACKAGE)

# What each folder may import beside itself. "public" is what users import: the package itself, `sandbox`, `webhooks`.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "core/assistant": {"core", "core/discovery"},
    "core/discovery": {"core"},
    "core/wire": {"core", "core/assistant"},
    "core/wire/discovery": {"core", "core/discovery", "core/wire"},
    "core/conflict": {"core", "core/assistant", "core/wire"},
    "core/pace": {"core"},
    "telemetry": {"core", "core/wire"},
    "http": {"core", "core/wire", "telemetry"},
    "engine": {"core", "core/wire", "core/conflict", "core/pace", "telemetry", "http"},
    "engine/jobs": {"core", "core/conflict", "core/wire", "engine", "telemetry"},
    "engine/reading": {"core", "core/discovery", "core/wire", "core/wire/discovery", "engine"},
    "engine/writing": {"core", "core/conflict", "core/wire", "engine"},
    "handles": {
        *("core", "core/assistant", "core/conflict", "core/discovery", "core/wire", "core/wire/discovery"),
        *("engine", "engine/jobs", "engine/reading", "engine/writing"),
    },
    "journal": {"core"},
    "journal/undo": {"core", "journal"},
    "batch": {"core", "core/conflict", "engine", "engine/writing", "journal"},
    "coordination": {"core", "core/pace", "core/wire", "engine", "telemetry"},
    "plans/values": {"core", "journal"},
    "plans/database": {"core", "plans/values"},
    "plans/reading": {"core", "journal", "journal/undo", "plans/values", "plans/database"},
    "plans/working": {"core", "engine", "journal", "batch", "plans/values", "plans/database"},
    "plans": {
        *("core", "core/conflict", "engine", "journal", "journal/undo", "batch"),
        *("plans/values", "plans/database", "plans/reading", "plans/working"),
    },
    "queues": {"public", "core", "plans"},
    "sandbox/serving": {"core"},
    "sandbox/catalog": {"core", "sandbox/serving"},
    "sandbox/world": {"core", "sandbox/serving", "sandbox/catalog"},
    "sandbox/faults": {"core", "sandbox/serving", "sandbox/world"},
    "sandbox/page": set(),
    "sandbox/control": {"core", "sandbox/serving", "sandbox/world", "sandbox/faults", "sandbox/page"},
    "sandbox": {
        *("core", "sandbox/serving", "sandbox/catalog", "sandbox/world", "sandbox/faults", "sandbox/control"),
        "sandbox/page",
    },
    "cli/shared": {"public", "core", "http"},
    "cli/shared/arguments": {"core"},
    "cli/shared/jobs": {"public", "core", "cli/shared", "cli/shared/arguments"},
    "cli/shared/plan/cells": {"core"},
    "cli/shared/plan": {"core", "cli/shared", "cli/shared/plan/cells"},
    "cli/shared/page": {"public", "core", "journal", "cli/shared"},
    "cli/shared/rows": {
        *("public", "core", "journal", "journal/undo", "cli/shared", "cli/shared/arguments", "cli/shared/plan"),
    },
    "cli/apply": {
        *("public", "core", "journal", "cli/apply/rows", "cli/shared", "cli/shared/arguments", "cli/shared/page"),
        *("cli/shared/plan", "cli/shared/plan/cells"),
    },
    "cli/apply/rows": {"public", "core", "journal", "batch", "cli/shared", "cli/shared/plan", "cli/shared/plan/cells"},
    "cli/batch": {"public", "core", "cli/shared", "cli/shared/arguments", "cli/shared/jobs"},
    "cli/demo": {"public", "core", "http", "sandbox", "cli/shared", "cli/shared/arguments"},
    "cli/doctor": {"public", "core", "core/wire", "http", "cli/shared", "cli/shared/arguments"},
    "cli/draft": {"public", "core", "cli/shared", "cli/shared/arguments", "cli/shared/jobs"},
    "cli/journal": {
        "public",
        "core",
        "journal",
        "journal/undo",
        "cli/shared",
        "cli/shared/arguments",
        "cli/shared/page",
        "cli/shared/plan",
        "cli/shared/rows",
    },
    "cli/list": {"public", "core", "cli/shared", "cli/shared/arguments", "cli/shared/plan"},
    "cli/plans/showing": {"public", "core", "plans", "cli/shared", "cli/shared/page"},
    "cli/plans/demo": {
        *("public", "core", "plans", "sandbox", "cli/plans/showing", "cli/shared", "cli/shared/arguments"),
    },
    "cli/plans": {
        *("public", "core", "plans", "plans/values", "coordination", "cli/plans/showing", "cli/plans/demo"),
        *("cli/shared", "cli/shared/arguments", "cli/shared/page", "cli/shared/plan", "cli/shared/rows"),
    },
    "cli/run": {"public", "core", "cli/shared", "cli/shared/arguments"},
    "cli/sandbox": {"core", "sandbox", "sandbox/control", "cli/shared", "cli/shared/arguments"},
    "cli/watch": {"public", "core", "core/conflict", "cli/shared", "cli/shared/arguments"},
    "cli": {
        *("cli/apply", "cli/batch", "cli/demo", "cli/doctor", "cli/draft", "cli/journal", "cli/list", "cli/run"),
        *("cli/plans", "cli/sandbox", "cli/shared", "cli/watch"),
    },
}
# `__about__` holds the version, and may be imported anywhere. These are the public faces, above all folders.
PUBLIC_FACES = {"fielding_async", "fielding_async.session", "fielding_async.webhooks"}
ABOVE_ALL = {*PUBLIC_FACES, "fielding_async.__main__", "fielding_async.pytest_plugin"}
ABOUT = "fielding_async.__about__"
# What users import from.
SHOWN = {
    *("fielding_async", "fielding_async.coordination", "fielding_async.plans", "fielding_async.queues.procrastinate"),
    *("fielding_async.queues.taskiq", "fielding_async.sandbox", "fielding_async.webhooks"),
}

DOORS: dict[str, set[str]] = {
    "aiohttp": {"http"},
    "aiohttp.web": {"sandbox"},
    "asyncpg": {"plans"},
    "backoff": {"engine"},
    "cattrs": {"core/wire"},
    "click": {"cli"},
    # the command line hands its own log handler over; the queues' workers log through logging, and so do their tasks
    "logging": {"telemetry", "cli/shared", "queues"},
    "opentelemetry": {"telemetry"},
    "procrastinate": {"queues"},
    "psycopg": {"plans"},
    "redis": {"coordination", "queues"},  # the connections of a broker over Redis
    "rich": {"cli"},
    "taskiq": {"queues"},
    "taskiq_redis": {"queues"},
}
WORLDLY = {
    *("aiohttp", "asyncio", "backoff", "io", "logging", "opentelemetry", "os", "pathlib", "random", "secrets"),
    *("socket", "ssl", "subprocess", "tempfile", "threading", "time", "uuid"),
}
CLOCKS = {"now", "today", "utcnow"}
MOST_LINES = 320
MOST_MODULES = 14
MOST_ENTRIES = 19


def folder_of(module: Module) -> str:
    """Return the folder that the rules are about; for a public face, "public"."""
    if module.name in ABOVE_ALL:
        return "public"
    return module.folder


def forbidden_imports(modules: Mapping[str, Module]) -> list[str]:
    """Return the imports that go up, or sideways."""
    found: list[str] = []
    for module in modules.values():
        folder = folder_of(module)
        if folder == "public" or module.name == ABOUT:
            continue
        allowed = {*MAY_IMPORT.get(folder, set()), folder}
        for name in sorted(module.inside - {ABOUT}):
            if folder_of(modules[name]) not in allowed:
                found.append(f"{module.name} imports {name}")
    return found


def module_circle(modules: Mapping[str, Module]) -> list[str]:
    """Return a circle of modules. What the public package loads by name, when it is asked for, is no import of it."""
    return circle_in({name: module.inside for name, module in modules.items() if name != "fielding_async"})


def folder_circle(modules: Mapping[str, Module]) -> list[str]:
    """Return a circle of folders."""
    arrows: dict[str, set[str]] = {}
    for module in modules.values():
        folders = {folder_of(modules[name]) for name in module.inside} - {folder_of(module), "public"}
        arrows.setdefault(folder_of(module), set()).update(folders)
    del arrows["public"]
    return circle_in(arrows)


def impurities(modules: Mapping[str, Module]) -> list[str]:
    """Return what modules of `core` touch beside values: imports, and clocks of `datetime`."""
    found: list[str] = []
    for module in modules.values():
        if module.folder.split("/")[0] != "core":
            continue
        for name in sorted({name.split(".")[0] for name in module.outside} & WORLDLY):
            found.append(f"{module.name} imports {name}")
        for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
                found.append(f"{module.name} calls {node.func.attr}()")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
                found.append(f"{module.name} opens a file")
    return found


def wrong_doors(modules: Mapping[str, Module]) -> list[str]:
    """Return the imports of outside libraries in a folder that is not their door."""
    found: list[str] = []
    for module in modules.values():
        for name in sorted(module.outside):
            library = name if name in DOORS else name.split(".")[0]
            if library == "aiohttp" and {"aiohttp.web"} & module.outside and name in {"aiohttp", "aiohttp.web"}:
                library = "aiohttp.web"
            if library in DOORS and not any(
                module.folder == door or module.folder.startswith(f"{door}/") for door in DOORS[library]
            ):
                found.append(f"{module.name} imports {name}")
    return found


@pytest.mark.parametrize("check", [forbidden_imports, module_circle, folder_circle, impurities, wrong_doors])
def test_the_house_stands(check: Callable[[Mapping[str, Module]], list[str]]) -> None:
    """Imports go down, there is no circle, `core` is pure, and each library comes in by its door."""
    assert check(MODULES) == []


def test_every_folder_says_what_it_is_for() -> None:
    """Each folder has its rule above, and its `__init__` says what it is for, who may import it, what it imports."""
    folders = {module.folder for module in MODULES.values()} - {""}
    assert folders == MAY_IMPORT.keys()
    for folder in folders - {"cli", "sandbox"}:
        text = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text())) or ""
        assert "May be imported by" in text, folder
        assert "Imports" in text, folder


def test_no_room_is_too_full() -> None:
    """No module is over 320 lines, no folder over 14 modules, and the package itself has at most 19 entries."""
    for module in MODULES.values():
        assert len(module.path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, module.name
    for folder in MAY_IMPORT:
        assert sum(module.folder == folder for module in MODULES.values()) <= MOST_MODULES, folder
    assert len([entry for entry in PACKAGE.iterdir() if entry.name != "__pycache__"]) <= MOST_ENTRIES


FAULTS: dict[str, tuple[Callable[[Mapping[str, Module]], list[str]], str, str]] = {
    "an import that goes up": (forbidden_imports, "core/ids.py", "from fielding_async.engine.call import Call"),
    "an import that goes sideways": (
        forbidden_imports,
        "cli/run/command.py",
        "import fielding_async.cli.demo.fault_plan",
    ),
    "a circle under TYPE_CHECKING": (
        module_circle,
        "core/models.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .errors import APIError",
    ),
    "a circle in a function": (module_circle, "engine/call.py", "def late():\n    from .sender import RequestSender"),
    "a circle of folders": (folder_circle, "http/transport.py", "from fielding_async.engine.call import Call"),
    "a clock in core": (impurities, "core/pace/pacer.py", "import datetime\nNOW = datetime.datetime.now()"),
    "a library in core": (impurities, "core/ids.py", "import random"),
    "a library by another door": (wrong_doors, "engine/engine.py", "import aiohttp"),
    "a client in the sandbox": (wrong_doors, "sandbox/request_pipeline.py", "import aiohttp"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_check_finds_what_it_is_for(fault: str, tmp_path: Path) -> None:
    """A fault that is put into a copy of the package is found."""
    check, place, line = FAULTS[fault]
    package = tmp_path / "fielding_async"
    for module in MODULES.values():
        target = package / module.path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(module.path.read_text(encoding="utf-8"), encoding="utf-8")
    assert check(read_modules(package)) == []
    spoilt = package / place
    spoilt.write_text(f"{spoilt.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    assert check(read_modules(package))


def test_the_sandbox_shares_only_values_with_the_client() -> None:
    """The sandbox has rules, JSON and ETag code of its own, so that one misreading cannot hide in both."""
    shared: set[str] = set()
    for module in MODULES.values():
        if module.folder.split("/")[0] == "sandbox":
            shared |= {name for name in module.inside if not name.startswith("fielding_async.sandbox")}
    assert shared <= {"fielding_async.core.models", "fielding_async.core.errors", ABOUT}


def test_readers_are_shown_only_public_names() -> None:
    """README, documentation and examples import from the public modules, and only what those name as public."""
    if not (ROOT / "docs").exists():
        pytest.skip("not run from a checkout")
    shown = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").glob("*.py"))]
    found = 0
    for path in shown:
        for block in code_of(path):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fielding_async":
                    public = set(importlib.import_module(node.module or "").__all__)
                    found += 1
                    assert node.module in SHOWN, path
                    assert {alias.name for alias in node.names} <= public, path
    assert found > 20


def code_of(path: Path) -> list[str]:
    """Return the Python of a file: all of it, or the blocks of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [text]
    return [
        block
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if "await" not in block or "import" in block
    ]


PUBLIC = """
    APIError Account AccountItem Action AdaptivePacing Assistant AssistantChange AssistantOutcome AssistantRef Auth
    AuthenticationError BadRequestError Batch BatchJob BatchResult BearerToken Change ClientCredentials Complete
    ConfigurationError DEFAULT_TIMEOUT DeadlineExceededError DefaultTimeout Done DoneWithError DoneWithOutcome
    DraftJob DraftResult DynamicPricing Effect FailedTargetGroup Failure FailureDetail FieldingAssistant
    FieldingError FieldingRun FieldingSession FoundRun FoundRuns FoundRunsIterator GeminiPacing IncomingHeaders
    InvalidParam InvalidRunStateError IssueSuggestion JobFailedError JobResult JournalCounts JournalError
    JournalEvent JournalEventKind JournalRow JournalRowState JournalSummary JsonNumber LaunchNow Leftover
    LeftoverState Limits LinearPacing Listing ListingIterator Money NotFoundError OnConflict OnRowFailure
    OtherModule Outage Outcome OutcomeUnknownError OutcomeUnknownTimeoutError Pause PerformAll PermissionDeniedError
    PreconditionFailedError Project ProjectDetails ProjectItem ProjectOverview ProjectStatistics ProjectStatus
    ProtocolError QuotaOverlay RateCardPricing RateLimitError RawResponse Relaunch ResponseHeaders Resume Retry Run
    RunRef RunStatus ServerError SessionClosedError SessionStats SkippedError SoftLaunch StatisticIssue StopMode
    TargetGroup TargetGroupChange TargetGroupItem TargetGroupOverview TargetGroupProgress TargetGroupStatistics
    TargetGroupStatus Timeout TimeoutArg TokenSource TransportError Update __version__ journal_events journal_rows
    read_journal trace_context
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


def test_a_session_loads_nothing_that_few_programs_need() -> None:
    """A session for actions on runs loads nothing of assistants, discovery, batches and plans."""
    code = "import sys, fielding_async; fielding_async.FieldingSession; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    seldom = ("core.assistant", "core.discovery", "batch", "plans", "queues", "coordination", "sandbox", "cli")
    assert [name for name in found if name.startswith(tuple(f"fielding_async.{part}" for part in seldom))] == []
    assert not {"difflib", "redis", "asyncpg", "psycopg", "procrastinate", "taskiq"} & set(found)


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
