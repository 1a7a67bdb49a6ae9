"""The start of the command line: what it loads, and what it says without its libraries."""

import json
import subprocess
import sys

import pytest

from fielding_async.__about__ import __version__
from fielding_async.__main__ import main


def test_without_its_libraries_the_command_line_gives_one_line_of_advice() -> None:
    """Without click or rich, `main` says what to install and returns 2; the SDK itself needs neither."""
    for name in ("click", "rich"):
        code = (
            f"import sys; sys.modules[{name!r}] = None\n"
            "import fielding_async.session, fielding_async.sandbox\n"
            "from fielding_async.__main__ import main\n"
            "sys.exit(main())"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "fielding: the command line needs two more packages: pip install 'fielding-async[cli]'\n"


def test_the_version_needs_no_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without click or rich `fielding --version` prints the version."""
    monkeypatch.setattr("fielding_async.__main__.find_spec", lambda _: None)
    monkeypatch.setattr("sys.argv", ["fielding", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"fielding, version {__version__}\n"


def test_help_does_not_load_what_it_does_not_need() -> None:
    """The commands' own modules are loaded when they are used: `--help` loads neither aiohttp nor rich."""
    code = "import sys; from fielding_async.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "rich"} & set(done.stderr.split())
    assert "apply" in done.stdout
    assert json.dumps(done.stdout).isascii()
