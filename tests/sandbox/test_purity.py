"""What the modules of the sandbox import."""

import ast
import re
from pathlib import Path

import fielding_async.sandbox

IMPURE = {"asyncio", "aiohttp", "time", "random", "threading", "socket", "os", "logging"}
ADAPTERS = {
    "server",
    "lifecycle",
    "sandbox",
    "request_pipeline",
    "hold",
    "failures",
    "traffic_control",
    "token_control",
    "observation",
    "door",
    "events",
}


def test_the_rules_are_pure() -> None:
    """Only the adapters import what waits or does I/O, and nothing imports the client."""
    folder = Path(fielding_async.sandbox.__file__).parent
    shared: set[str] = set()
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
        shared |= {name for name in names if re.match(r"fielding_async(?!\.sandbox\.)", name)}
        if path.stem not in ADAPTERS:
            assert not {name.partition(".")[0] for name in names} & IMPURE, path.name
    assert shared == {"fielding_async.__about__", "fielding_async.core.errors", "fielding_async.core.models"}
