"""The project's chores: `nox` runs what the continuous integration runs, `nox -l` lists everything."""

import itertools
import os
import re
import signal
import sys
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OLDEST, *NEWER = PYTHONS

# Two processes for each session, as two sessions run beside each other. A file stays in one process, so that what its
# tests share is made once, and files start in the order of tests/conftest.py: those that take longest first.
SPREAD = ["-n", "auto", "--dist=loadfile", "--no-loadscope-reorder"]
os.environ.setdefault("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
# Every session but one leaves out the tests that are marked `once`, and takes fewer random examples.
AGAIN = ["-m", "not once"]
FEWER = {"FIELDING_STORM_CALLS": "2000", "HYPOTHESIS_PROFILE": "few"}

nox.needs_version = ">=2026.8.10"  # the first with sessions beside each other
nox.options.sessions = [
    f"tests-{OLDEST}", "lint", "types", "oldest", *(f"tests-{python}" for python in reversed(NEWER)), "docs", "demo",
]  # fmt: skip
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
# Sessions beside each other print at their end. One that is called for by name has the terminal to itself.
if len(sys.argv) == 1:
    nox.options.allow_parallel, nox.options.parallel = True, 2
# When Nox is stopped by a SIGTERM, it ends its sessions as for Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)
# The tests start hundreds of processes: without bytecode on disk, each would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _find_pyenv_pythons() -> None:
    """Let nox see pyenv's interpreters, which its shims hide unless a version is switched on."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in PYTHONS:
        for found in sorted(versions.glob(f"{python}.*/bin/python{python}"), reverse=True)[:1]:
            os.environ["PATH"] = f"{found.parent}{os.pathsep}{os.environ['PATH']}"


_find_pyenv_pythons()


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


def _install(session: nox.Session, *wanted: str) -> None:
    """Install what a session needs, unless its environment was made for just that.

    The package is installed in a way that its modules can be edited.
    """
    versions = [(ROOT / name).read_text() for name in ("pyproject.toml", "fielding_async/__about__.py")]
    key = "\n".join(["-e", ".[cli]", *wanted, *versions])
    made_for = Path(session.virtualenv.location) / "made-for.txt"
    if made_for.exists() and made_for.read_text() == key:
        session.log(f"{made_for.parent.name} is up to date")
        return
    # most of what is installed is never imported: what is, is compiled at its first import
    session.install("--no-compile", "-e", ".[cli]", *wanted)
    made_for.write_text(key)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite; on the oldest Python all of it, with coverage. `-- PATH` runs just that.

    On newer ones it runs without the tests marked `once`, whose result does not depend on the version of Python or of
    a library, and without most tests of whole processes of the command line and the examples, marked so as well.
    """
    whole = session.python == OLDEST
    groups = ["tests", "conformance", "browser"] if whole else ["tests"]
    # the newest aiohttp, as users get it; the session `oldest` has the lowest
    _install(session, "--upgrade", "aiohttp", *itertools.chain(*map(_group, groups)))
    if session.posargs:
        session.run("pytest", *session.posargs)
    elif whole:
        # Slow tests go through the same lines thousands of times, or start other processes: to measure their coverage
        # would add nothing to it, and take four times as long.
        session.run("pytest", *SPREAD, "-m", "slow")
        session.run("pytest", *SPREAD, "-m", "not slow", "--cov", "--cov-report=term", "--cov-fail-under=90")
    else:
        session.run("pytest", *SPREAD, *AGAIN, env=FEWER)


@nox.session(python=OLDEST)
def oldest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the dependencies that the metadata promises."""
    # an instrumentation this old imports pkg_resources
    _install(session, *_group("tests"), *_lowest(), "setuptools<66")
    if session.posargs:
        session.run("pytest", *session.posargs)
    else:
        session.run("pytest", *SPREAD, *AGAIN, env=FEWER)


@nox.session(python=OLDEST)
def prerelease(session: nox.Session) -> None:
    """Run the tests of HTTP with the newest aiohttp, pre-releases included. Not part of the default list."""
    session.install("-e", ".[cli]", *_group("tests"))
    session.install("--pre", "--upgrade", "aiohttp")
    paths = session.posargs or ["tests/http", "tests/proofs/faults", "tests/test_session.py"]
    session.run("python", "-c", "import aiohttp; print('aiohttp', aiohttp.__version__)")
    session.run("pytest", *SPREAD, *AGAIN, *paths, env=FEWER)


def _lowest() -> list[str]:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*metadata["dependencies"], *metadata["optional-dependencies"]["cli"]]
    # the SDK and the instrumentation go by the API's version
    bounds += [bound for bound in _group("tests") if bound.startswith("opentelemetry")]
    return [re.sub(r">=", "==", bound) for bound in bounds]


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Check style and formatting, with the version of Ruff that the hook of pre-commit uses."""
    (ruff,) = _group("lint")
    hooks = re.findall(r"additional_dependencies: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    if set(hooks) != {f'["{ruff}"]'}:
        session.error(f"pyproject.toml says {ruff}, .pre-commit-config.yaml {' and '.join(hooks)}")
    session.install(ruff)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Check types: mypy and pyright, both strict, and that every public name is typed."""
    groups = [_group(name) for name in ("tests", "browser", "conformance", "bench", "types")]
    _install(session, "nox", *itertools.chain(*groups))
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
    _install(session, *_group("docs"))
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "build/docs", *session.posargs)


@nox.session(python=OLDEST)
def linkcheck(session: nox.Session) -> None:
    """Follow the links of the documentation that lead out; takes the internet, so nothing else depends on it."""
    _install(session, *_group("docs"))
    session.run("python", "-m", "sphinx", "-b", "linkcheck", "docs", "build/linkcheck", *session.posargs)


@nox.session(python=OLDEST)
def gateways(session: nox.Session) -> None:
    """Make 2,000 calls through each gateway that is installed (nginx, HAProxy, squid, Apache) and print outcomes."""
    _install(session, *_group("tests"))
    session.run("python", "-m", "tests.proofs.gateways", *session.posargs)


@nox.session(python=OLDEST)
def pace(session: nox.Session) -> None:
    """Play 2,000 random worlds of limits in virtual time, and check what is claimed of the pace (minutes)."""
    _install(session, *_group("tests"))
    session.run(
        "python", "-m", "tests.proofs.pace", *(session.posargs or ["--fresh", "--classes", "--check", "-j", "2"])
    )


@nox.session(python=OLDEST)
def bench(session: nox.Session) -> None:
    """Measure cost, pace and scale beside other clients, into `build/benchmarks/` (half an hour).

    `-- --release` measures all sections (an hour), and writes the report and the plots of the repository.
    `-- gateway_limits` measures the pace at the limits of nginx and HAProxy, which have to be installed.
    """
    session.install("-e", ".", *_group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
