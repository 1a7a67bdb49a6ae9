"""The project's chores: `nox` runs what the continuous integration runs, `nox -l` lists everything."""

import itertools
import os
import re
import signal
import sys
import tarfile
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OLDEST, *NEWER = PYTHONS
# `nox` runs the tests on these. Those that are newer are run by name (`nox -s tests-3.14`), and by the workflows.
BY_DEFAULT = [python for python in NEWER if python in {"3.12", "3.13"}]

# Two processes for each session, as two sessions run beside each other. A file stays in one process, so that what its
# tests share is made once, and files start in the order of tests/conftest.py: those that take longest first.
SPREAD = ["-n", "auto", "--dist=loadfile", "--no-loadscope-reorder"]
os.environ.setdefault("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
# Every session but one leaves out the tests that are marked `once`, and takes fewer random examples.
AGAIN = ["-m", "not once"]
FEWER = {"FIELDING_STORM_CALLS": "2000", "HYPOTHESIS_PROFILE": "few"}

nox.needs_version = ">=2026.8.10"  # the first with sessions beside each other
nox.options.sessions = [
    f"tests-{OLDEST}", "lint", "types", "oldest", *(f"tests-{python}" for python in reversed(BY_DEFAULT)),
    "docs", "demo",
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
    groups = ["tests", "beyond", *(["servers", "conformance", "browser", "frameworks", "prose"] if whole else [])]
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


def _bounds() -> list[str]:
    """Return the dependencies that the metadata names, those of extras included."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = metadata["optional-dependencies"].values()
    return [*metadata["dependencies"], *sorted(set(itertools.chain(*extras)))]


def _lowest() -> list[str]:
    bounds = _bounds()
    # the SDK and the instrumentation go by the API's version
    bounds += [bound for bound in _group("tests") if bound.startswith("opentelemetry")]
    # the tests use the libpq that comes with psycopg's binaries
    return [bound.replace(">=", "==").replace("psycopg==", "psycopg[binary]==") for bound in bounds]


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Check style and formatting, with the version of Ruff that the hook of pre-commit uses, and the prose."""
    (ruff,) = _group("lint")
    hooks = re.findall(r"additional_dependencies: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    if set(hooks) != {f'["{ruff}"]'}:
        session.error(f"pyproject.toml says {ruff}, .pre-commit-config.yaml {' and '.join(hooks)}")
    session.install(ruff, *_group("prose"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "docs/prose/check.py", *session.posargs)


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Check types: mypy and pyright, both strict, and that every public name is typed; a user's program with four."""
    groups = [_group(name) for name in ("tests", "beyond", "browser", "conformance", "bench", "frameworks", "types")]
    _install(session, "nox", *itertools.chain(*groups))
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "fielding_async", "--ignoreexternal")
    # mypy and pyright have checked these files with all the others; a comment that ignores nothing is an error here too
    program = "tests/proofs/typing"
    session.run("ty", "check", "--error", "unused-type-ignore-comment", "--error-on-warning", program)
    session.run("pyrefly", "check", "--preset", "strict", "--error", "unused-type-ignore", f"{program}/*.py")


@nox.session(python=OLDEST)
def demo(session: nox.Session) -> None:
    """Install as a user would, and run the demo."""
    session.install(".[cli]")
    session.run("fielding", "demo", *session.posargs)


# what a contributor needs, beside the code: the source distribution must hold it
IN_SDIST = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md", "noxfile.py"}


@nox.session(python=OLDEST)
def package(session: nox.Session) -> None:
    """Build wheel and sdist into `dist/`, check both, and try the wheel in an environment of its own.

    The wheel is built from the sdist. The environment has nothing of the checkout: the tests are those of the sdist.
    `build/sbom.cdx.json` lists what the wheel and its extra `cli` need (CycloneDX).
    """
    session.install(*_group("package"))
    for old in [*ROOT.glob("dist/*.whl"), *ROOT.glob("dist/*.tar.gz")]:
        old.unlink()
    session.run("python", ".ci/version.py")
    session.run("python", "-m", "build", "--outdir", "dist", ".")
    (wheel,) = ROOT.glob("dist/*.whl")
    (sdist,) = ROOT.glob("dist/*.tar.gz")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))

    folder = Path(session.create_tmp()).resolve() / "unpacked"
    session.run("python", "-c", "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)", str(folder))
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (sources,) = folder.iterdir()
    missing = IN_SDIST - {path.name for path in sources.iterdir()}
    if missing or not (sources / "tests").is_dir() or not (sources / "examples" / "README.md").exists():
        session.error(f"{sdist.name} lacks {', '.join(sorted(missing)) or 'tests or examples'}")
    (sources / "fielding_async").rename(folder / "not-imported")

    environment = folder / "environment"
    bin_folder = environment / "bin"
    session.run("python", "-m", "venv", "--without-pip", str(environment))
    install = ("python", "-m", "pip", "--python", str(bin_folder / "python"), "install", "--quiet")
    session.run(*install, f"{wheel}[cli]")
    (ROOT / "build").mkdir(exist_ok=True)
    session.run(
        *("cyclonedx-py", "environment", str(environment), "--pyproject", "pyproject.toml", "--mc-type", "library"),
        *("--output-reproducible", "--of", "JSON", "--output-file", "build/sbom.cdx.json"),
    )
    with session.chdir(sources):
        session.run(str(bin_folder / "python"), "-W", "error", "-c", "import fielding_async", external=True)
        session.run(str(bin_folder / "fielding"), "demo", external=True)
        session.run(*install, *_group("tests"))
        paths = session.posargs or ["tests/core/wire", "tests/test_public_names.py", "tests/test_session.py"]
        session.run(str(bin_folder / "python"), "-m", "pytest", "-m", "not slow and not once", *paths, external=True)


@nox.session(python=OLDEST)
def audit(session: nox.Session) -> None:
    """Look for advisories about the dependencies, all extras included. Takes the internet.

    One that could not be looked up is a failure: an index that has no advisories would make all of them pass.
    """
    session.install(*_bounds(), *_group("audit"))
    session.run("pip-audit", "--strict", "--progress-spinner", "off", *session.posargs)


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Build the documentation into `build/docs`; any warning, any link inside it that leads nowhere, is an error.

    Where a Chromium is installed, some pages are opened in it; with `-- --all` all, and `-- --pictures FOLDER` keeps
    pictures.
    """
    _install(session, *_group("docs"), *_group("browser"), "pytest>=8.2")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "build/docs")
    session.run("python", "-m", "tests.proofs.site", "build/docs", *session.posargs)


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
def simulation(session: nox.Session) -> None:
    """Search 2,000 simulated worlds for a breach of what is promised of writes, and fuzz the sandbox (half an hour)."""
    _install(session, *_group("tests"), *_group("conformance"))
    for more in ([], ["--resource", "assistants"], ["--hints", "true"], ["--hints", "garbage"]):
        session.run("python", "-m", "tests.proofs.simulation", "--seeds", "2000", *more, *session.posargs)
    session.run("pytest", "tests/proofs/conformance/test_schemathesis.py", env={"FIELDING_FUZZ_EXAMPLES": "400"})


@nox.session(python=OLDEST)
def pace(session: nox.Session) -> None:
    """Play 2,000 random worlds of limits in virtual time, and check what is claimed of the pace (minutes)."""
    _install(session, *_group("tests"))
    session.run(
        "python", "-m", "tests.proofs.pace", *(session.posargs or ["--fresh", "--classes", "--check", "-j", "2"])
    )


@nox.session(python=OLDEST)
def shared_pace(session: nox.Session) -> None:
    """Strike Redis and Valkey under load again and again: killed, emptied, slowed, failed over, stopped (minutes)."""
    _install(session, *_group("tests"), *_group("beyond"), *_group("servers"))
    session.run("python", "-m", "tests.proofs.shared_pace", *session.posargs)


@nox.session(python=OLDEST)
def plans_kills(session: nox.Session) -> None:
    """Work a plan off on many processes that are killed and stopped, with PostgreSQL restarted (an hour)."""
    _install(session, *_group("tests"), *_group("beyond"), *_group("servers"))
    session.run("python", "-m", "tests.proofs.plans", *session.posargs)


@nox.session(python=OLDEST)
def bench(session: nox.Session) -> None:
    """Measure cost, pace and scale beside other clients, into `build/benchmarks/` (half an hour).

    `-- --release` measures all sections (an hour), and writes the report and the plots of the repository.
    `-- gateway_limits` measures the pace at the limits of nginx and HAProxy, which have to be installed.
    """
    session.install("-e", ".", *_group("bench"), *_group("beyond"))
    session.run("python", "-m", "benchmarks", *session.posargs)
