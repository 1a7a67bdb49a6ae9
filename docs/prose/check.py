"""Checks the prose of the project: `python docs/prose/check.py` prints what it finds, and fails for errors.

It reads pages (Markdown), and of the package docstrings and messages. Code is left out: what stands in backticks, in
blocks, and in links. The checks are those of proselint that fit technical documents, the words of `words.toml`, and the
length of sentences. A line that has `prose: off` in a comment is not checked.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckFlags, CheckResult
from proselint.registry.checks.types import ExistenceSimple
from proselint.tools import LintFile

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/**/*.md")
MODULES = ("fielding_async/**/*.py",)

# Left out: what goes by tastes of typography, or takes HTTP's and the API's own words for mistakes.
OFF = (
    "typography", "annotations", "hedging", "weasel_words", "uncomparables", "needless_variants", "spelling",
    "misc.but", "misc.phrasal_adjectives", "misc.tense_present", "misc.suddenly", "misc.waxed", "terms", "restricted",
    "dates_times", "skunked_terms", "redundancy.ras_syndrome", "cliches.misc.write_good",
)  # fmt: skip
MESSAGES = ("docs/reference/error-catalogue.md",)  # made of messages of the package: not an error before those are
PROSE_BLOCKS = ("note", "tip", "warning", "important", "admonition", "caution", "dropdown", "fielding-plot")
HIDDEN = "\N{CURRENCY SIGN}"  # no letter, digit or space: two pieces of code are not the same word twice
WORDS: dict[str, dict[str, str]] = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))


def _hide(match: re.Match[str], keep: str = "\n") -> str:
    return "".join(char if char in keep else HIDDEN for char in match[0])


def _blank(match: re.Match[str]) -> str:
    return "".join(char if char == "\n" else " " for char in match[0])


def _without_inline_code(text: str) -> str:
    text = re.sub(r"<!--.*?-->", _blank, text, flags=re.DOTALL)
    text = re.sub(r"(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", _hide, text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)\s]*\)|\]\[[^\]]*\]", _hide, text)
    text = re.sub(r"https?://\S+", _hide, text)
    return re.sub(r"</?[a-zA-Z][^>\n]*>", _hide, text)


def prose_of_page(text: str) -> str:
    """Return a page of Markdown with all that is no prose blanked out; every word keeps its place."""
    lines: list[str] = []
    fence: list[str] = []  # the open blocks, outermost first
    in_code = False
    for line in text.split("\n"):
        opening = re.match(r"\s*(`{3,}|~{3,}|:{3,})\s*(?:\{([\w-]+)\})?(.*)", line)
        if fence and opening and line.strip() == fence[-1]:
            fence.pop()
            in_code = False
            lines.append("")
        elif opening and not in_code:
            fence.append(opening[1])
            in_code = not (opening[1].startswith(":") or opening[2] in PROSE_BLOCKS)
            lines.append(" " * opening.start(3) + opening[3] if opening[2] == "admonition" else "")
        elif in_code or re.match(r"\s*(\|[-:| ]+\|\s*$|:[\w-]+:)", line) or "prose: off" in line:
            lines.append("")
        else:
            lines.append(line)
    return _without_inline_code("\n".join(lines))


def _prose_of_docstring(node: ast.Constant, lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of a docstring, without its indented code."""
    base = node.col_offset
    after_blank = in_code = False
    for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
        line = lines[number - 1]
        is_indented = line.startswith(" " * (base + 4))
        in_code = is_indented and (in_code or after_blank) if line.strip() else in_code
        after_blank = not line.strip()
        if not in_code:
            yield number, line.replace('"""', "   ")


def _prose_of_message(node: ast.expr, lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of a string, without what surrounds and fills it."""
    first, last = node.lineno, node.end_lineno or node.lineno
    for number in range(first, last + 1):
        line = lines[number - 1]
        line = line[: node.end_col_offset] if number == last else line
        line = " " * node.col_offset + line[node.col_offset :] if number == first else line
        line = re.sub(r"""\b[rfb]{0,2}"|"|\\.|\{[^{}]*\}""", _blank, line)
        yield number, line


def prose_of_module(text: str) -> str:
    """Return docstrings and messages of a module, at their places; the rest is blank."""
    tree = ast.parse(text)
    lines = text.split("\n")
    out = [""] * len(lines)
    docstrings: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.add(node.value)
            for number, line in _prose_of_docstring(node.value, lines):
                out[number - 1] = line
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if not is_text or node in docstrings or not isinstance(node, ast.expr):
            continue
        if lines[node.lineno - 1][node.col_offset :].lstrip("rfb").startswith('"""'):
            continue  # a script of another language
        found = list(_prose_of_message(node, lines))
        if len(re.findall(r"\b[a-z]{2,}\b \b", " ".join(line for _, line in found))) < 2:
            continue  # no sentence
        for number, line in found:
            before = out[number - 1].ljust(len(line))
            out[number - 1] = "".join(
                new if new.strip() else old for old, new in zip(before, line.ljust(len(before)), strict=True)
            )
    return _without_inline_code(
        "\n".join("" if "prose: off" in line else kept for line, kept in zip(lines, out, strict=True))
    )


def _long_sentences(text: str, check: Check) -> Iterator[CheckResult]:
    """Find sentences of too many words. A sentence ends at a stop, a colon, a list item, a cell, or a paragraph."""
    most = int(WORDS["sentence"]["words"])
    for match in re.finditer(r"(?:(?!\n\s*\n|\n\s*(?:[-*#>:]|\d+\.)\s|[.!?;:](?:\s|$)|\|).)+", text, re.DOTALL):
        words = re.findall(rf"[\w{HIDDEN}][^\s]*", match[0])
        if len(words) > most:
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            yield CheckResult(
                check.path, f"{len(words)} words in a sentence; {most} at most.", (start, match.end()), None
            )


def house_checks() -> Iterator[Check]:
    """Yield the checks of this project."""
    for pattern, instead in WORDS["words"].items():
        yield Check(
            check_type=ExistenceSimple(rf"\b(?:{pattern})\b"),
            path="house.words",
            message=f"'{{}}': write {instead}.",
            flags=CheckFlags(allow_quotes=True),
        )
    yield Check(check_type=_long_sentences, path="house.sentence", flags=CheckFlags(allow_quotes=True))


def _registered() -> dict[str, bool]:
    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many(__register__)
        for check in house_checks():
            registry.register(check)
    names = sorted({check.path for check in registry.checks}, key=len, reverse=True)
    return {name: not any(name == off or name.startswith(f"{off}.") for off in OFF) for name in names}


def findings(name: str, prose: str) -> list[str]:
    """Return what is found in a text: `name:line:column: check: message`."""
    config = {"max_errors": 10_000, "checks": _registered()}
    file = LintFile(name, prose)
    return [
        # proselint puts a line in front of the text, and counts lines from 0
        f"{name}:{line}:{column}: {result.check_path or 'proselint'}: {' '.join(result.message.split())}"
        for result, (line, column) in file.lint(config)
        # the same word in two paragraphs, or in two strings, is no repetition
        if not (name.endswith(".py") and result.check_path.startswith("lexical"))
        and not re.search(r"\n\s*\n", file.content[slice(*result.span)].strip())
    ]


def check(path: Path) -> list[str]:
    """Return what is found in a file."""
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    return findings(name, prose_of_module(text) if path.suffix == ".py" else prose_of_page(text))


def main(arguments: list[str]) -> int:
    """Check the named files, or all. What is found in a page is an error; in a module, only with `--strict`."""
    paths = [Path(argument).resolve() for argument in arguments if argument != "--strict"]
    paths = paths or [path for glob in (*PAGES, *MODULES) for path in sorted(ROOT.glob(glob))]
    found = {path: check(path) for path in paths}
    strict = "--strict" in arguments
    messages = {ROOT / name for name in MESSAGES}
    pages = {path for path in found if path.suffix == ".md" and path not in messages}
    errors = sum(len(lines) for path, lines in found.items() if strict or path in pages)
    for lines in found.values():
        print("".join(f"{line}\n" for line in lines), end="")  # noqa: T201
    warnings = sum(map(len, found.values())) - errors
    print(f"{len(paths)} files: {errors} errors, {warnings} warnings")  # noqa: T201
    return min(errors, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
