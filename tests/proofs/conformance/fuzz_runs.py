"""Runs of Schemathesis, each in a process of its own, and what they came to."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

__all__ = ["Ran", "needs_schemathesis", "run"]

ROOT = Path(__file__).resolve().parents[3]
needs_schemathesis = pytest.mark.skipif(find_spec("schemathesis") is None, reason="not at hand: schemathesis")


@frozen
class Ran:
    """What a run of Schemathesis came to: findings by kind, and counts of statuses by operation and phase."""

    code: int
    output: str
    findings: dict[str, list[str]]
    statuses: dict[str, dict[str, dict[str, int]]]

    def count(self, name: str, phase: str) -> int:
        """The number of requests of an operation in a phase."""
        return sum(self.statuses.get(name, {}).get(phase, {}).values())


def run(folder: Path, *words: str) -> Ran:
    """Run Schemathesis in a process of its own."""
    report = folder / "report.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.proofs.conformance.fuzz", "--report", str(report), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=1_800,
        check=False,
    )
    told: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"failures": {}, "statuses": {}}
    return Ran(ended.returncode, ended.stdout, told["failures"], told["statuses"])
