"""What a release rests on: one version everywhere, and a source distribution that holds what it is worked on with."""

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "version.py"

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not SCRIPT.exists(), reason="not run from a checkout"),
]

LOG = (
    "# Changelog\n\n## [Unreleased]\n{unreleased}\n## [0.2.0] - 2026-12-01\n\nNew.\n\n## [0.1.0] - 2026-11-22\n\nOld.\n"
)


@pytest.fixture(scope="module")
def version() -> Any:
    """The script as a module; it is in no package."""
    spec = importlib.util.spec_from_file_location("version_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def project(folder: Path, package: str, unreleased: str = "") -> Path:
    """Make a folder with a change log and a package."""
    (folder / "fielding_async").mkdir()
    (folder / "fielding_async" / "__about__.py").write_text(f'"""About."""\n\n__version__ = "{package}"\n\nOTHER = 1\n')
    (folder / "CHANGELOG.md").write_text(LOG.format(unreleased=unreleased))
    return folder


def test_change_log_and_package_agree(version: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest version of our change log is that of the package."""
    assert version.main([]) == 0
    assert capsys.readouterr().out.strip() in version.sections((ROOT / "CHANGELOG.md").read_text())


@pytest.mark.parametrize(
    ("package", "unreleased", "arguments", "said"),
    [
        ("0.1.0", "", [], "__about__.py says 0.1.0, CHANGELOG.md 0.2.0: run .ci/version.py --write"),
        ("0.2.0", "", ["v0.3.0"], "the tag is v0.3.0; of 0.2.0 it is v0.2.0"),
        ("0.2.0", "", ["0.2.0"], "the tag is 0.2.0; of 0.2.0 it is v0.2.0"),
        ("0.2.0", "\n- More.\n", ["v0.2.0"], "entries are left under Unreleased"),
    ],
)
def test_a_release_whose_versions_differ_is_refused(
    version: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    package: str,
    unreleased: str,
    arguments: list[str],
    said: str,
) -> None:
    """The script says which two differ, and exits with 1."""
    assert version.main(arguments, project(tmp_path, package, unreleased)) == 1
    assert said in capsys.readouterr().err


def test_a_change_log_without_a_version_is_refused(
    version: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a heading of a version there is nothing to release."""
    (project(tmp_path, "0.2.0") / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    assert version.main([], tmp_path) == 1
    assert "no heading" in capsys.readouterr().err


def test_the_version_is_taken_from_the_change_log(
    version: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--write` changes the version of the package and nothing else; `--notes` prints what is new."""
    folder = project(tmp_path, "0.1.0")
    assert version.main(["--write"], folder) == 0
    assert version.main(["v0.2.0", "--notes"], folder) == 0
    assert capsys.readouterr().out == "0.2.0\nNew.\n"
    about = (folder / "fielding_async" / "__about__.py").read_text()
    assert about == '"""About."""\n\n__version__ = "0.2.0"\n\nOTHER = 1\n'


def test_the_source_distribution_names_what_there_is() -> None:
    """All paths that are put into it exist, and what a contributor reads is among them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]
    named = [name.lstrip("/") for name in settings["include"]]
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", ".ci", ".github"} <= set(named)


def test_actions_of_workflows_are_named_by_commit() -> None:
    """No workflow uses an action by a tag, which can be moved; all have the least permissions by default."""
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [path.stem for path in workflows] == ["ci", "release", "weekly"]
    for path in workflows:
        text = path.read_text()
        used = [line.split("uses: ")[1] for line in text.splitlines() if "uses: " in line]
        assert used
        for action in used:
            commit = action.partition("@")[2].split(" # v")[0]
            assert len(commit) == 40, action
        assert "\npermissions:\n  contents: read\n" in text
