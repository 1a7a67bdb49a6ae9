"""The project's chores: `nox` runs what the continuous integration runs, `nox -l` lists everything."""

import itertools
import os
import re
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OLDEST, *BETWEEN, _NEWEST = PYTHONS
SHORTER = ["--ignore=tests/proofs/conformance", "--ignore=tests/proofs/simulation"]
# What does not depend on the version of Python or of a library is run once: the pure arithmetic of the pace, the
# documentation. And of random examples there are fewer.
AGAIN = [*SHORTER, "--ignore=tests/core/pace", "--ignore=tests/proofs/docs", "--ignore=tests/proofs/test_benchmarks.py"]
FEWER = {"FIELDING_STORM_CALLS": "2000", "HYPOTHESIS_PROFILE": "few"}
AT_ONCE = ["-n", "4"]  # more than cores: many tests wait for processes and sockets

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests", "oldest", "docs", "demo"]
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


def _find_pyenv_pythons() -> None:
    """Let nox see pyenv's interpreters, which its shims hide unless a version is switched on."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in PYTHONS:
        for found in sorted(versions.glob(f"{python}.*/bin/python{python}"), reverse=True)[:1]:
            os.environ["PATH"] = f"{found.parent}{os.pathsep}{os.environ['PATH']}"


_find_pyenv_pythons()


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite; on the oldest Python with coverage, the conformance tests and the simulation.

    On what lies between the oldest and the newest, the programs on top of the library are left out.
    """
    session.install("-e", ".[cli]", *_group("tests"))
    if session.python != OLDEST:
        programs = ["--ignore=tests/cli", "--ignore=tests/proofs/examples"] if session.python in BETWEEN else []
        session.run("pytest", *AT_ONCE, *AGAIN, *programs, *session.posargs, env=FEWER)
        return
    session.install(*_group("conformance"), *_group("browser"))
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", *AT_ONCE, "--cov", "--cov-report=term", "--cov-fail-under=90", *SHORTER)
    # measuring coverage would double their time
    # by file, as a run of Schemathesis serves a whole one
    session.run("pytest", *AT_ONCE, "--dist=loadfile", "-rP", "tests/proofs/simulation", "tests/proofs/conformance")


@nox.session(python=OLDEST)
def oldest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the dependencies that the metadata promises."""
    session.install("-e", ".[cli]", *_group("tests"))
    session.install(*_lowest(), "setuptools<66")  # an instrumentation this old imports pkg_resources
    session.run("pytest", *AT_ONCE, *AGAIN, *session.posargs, env=FEWER)


def _lowest() -> list[str]:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*metadata["dependencies"], *metadata["optional-dependencies"]["cli"]]
    # the SDK and the instrumentation go by the API's version
    bounds += [bound for bound in _group("tests") if bound.startswith("opentelemetry")]
    return [re.sub(r">=", "==", bound) for bound in bounds]


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install(*_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Check types: mypy and pyright, both strict, and that every public name is typed."""
    groups = [_group(name) for name in ("tests", "browser", "conformance", "bench", "types")]
    session.install("-e", ".[cli]", "nox", *itertools.chain(*groups))
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "fielding_async", "--ignoreexternal")


@nox.session(python=OLDEST)
def demo(session: nox.Session) -> None:
    """Install as a user would, and run the demo."""
    session.install(".[cli]")
    session.run("fielding", "demo", *session.posargs)


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Build the documentation into `build/docs`; any warning, any link inside it that leads nowhere, is an error."""
    session.install("-e", ".[cli]", *_group("docs"))
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "build/docs", *session.posargs)


@nox.session(python=OLDEST)
def linkcheck(session: nox.Session) -> None:
    """Follow the links of the documentation that lead out; takes the internet, so nothing else depends on it."""
    session.install("-e", ".[cli]", *_group("docs"))
    session.run("python", "-m", "sphinx", "-b", "linkcheck", "docs", "build/linkcheck", *session.posargs)


@nox.session(python=OLDEST)
def bench(session: nox.Session) -> None:
    """Measure cost, pace and scale beside other clients (a quarter of an hour); results go to `benchmarks/results/`."""
    session.install("-e", ".", *_group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
