"""The version of the package: what the change log, the package and a tag say of it must be the same.

python .ci/version.py                 # print it; fails if change log and package differ
python .ci/version.py v0.2.0          # for a release: the tag must be it, and nothing may be left under Unreleased
python .ci/version.py v0.2.0 --notes  # print what the change log says of it
python .ci/version.py --write         # write the change log's version into the package
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)
ASSIGNED = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
SEMANTIC = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")


def sections(text: str) -> dict[str, str]:
    """Return what a change log says of each version, the newest first. `Unreleased` may be among them."""
    found = list(HEADING.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {match["name"]: text[match.end() : end].strip() for match, end in zip(found, ends, strict=True)}


def problems(log: dict[str, str], package: str, tag: str | None = None) -> list[str]:
    """Return what is wrong with the versions, one line each."""
    released = [name for name in log if name != "Unreleased"]
    if not released:
        return ["CHANGELOG.md: no heading `## [X.Y.Z] - YYYY-MM-DD`"]
    newest, *_ = released
    found: list[str] = []
    if SEMANTIC.fullmatch(newest) is None:
        found.append(f"CHANGELOG.md: {newest} is no version X.Y.Z")
    if package != newest:
        found.append(f"fielding_async/__about__.py says {package}, CHANGELOG.md {newest}: run .ci/version.py --write")
    if tag is not None:
        if tag != f"v{newest}":
            found.append(f"the tag is {tag}; of {newest} it is v{newest}")
        if log.get("Unreleased"):
            found.append("CHANGELOG.md: entries are left under Unreleased")
    return found


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tag", nargs="?", help="the tag of a release, such as v0.2.0")
    parser.add_argument("--notes", action="store_true", help="print what the change log says of the version")
    parser.add_argument("--write", action="store_true", help="write the change log's version into the package")
    chosen = parser.parse_args(arguments)
    log = sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    about = root / "fielding_async" / "__about__.py"
    source = about.read_text(encoding="utf-8")
    newest = next((name for name in log if name != "Unreleased"), "")
    if chosen.write and newest:
        source = ASSIGNED.sub(f'__version__ = "{newest}"', source)
        about.write_text(source, encoding="utf-8")
    assigned = ASSIGNED.search(source)
    found = problems(log, assigned[1] if assigned else "nothing", chosen.tag)
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    print(log[newest] if chosen.notes else newest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
