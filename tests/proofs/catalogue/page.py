"""Renders the catalogue of errors. `python -m tests.proofs.catalogue.page --write` renews the page."""

import re
import sys
from pathlib import Path

from tests.test_messages import REMEDY
from tests.tools.messages import Message, messages_of_package, words_of

from .entries import ENTRIES

__all__ = ["PAGE", "described", "named_by_hand", "rendered", "self_explaining"]

PAGE = Path(__file__).parents[3] / "docs/reference/error-catalogue.md"

_HEAD = """\
# Error catalogue

Search this page for the words of a message. `…` stands for what varies. Which class means what for a write is in
[errors](errors.md); `fielding doctor` checks settings, network and token.

A message starts with method and path of the request where it is about one, and ends in `[trace_id=…]`.
"""

_SELF = """\
## ConfigurationError

The cause is always the same: the argument or setting that the message names breaks the rule that it names. Nothing was
sent. Each message names the argument, the rule and what to do: `ARGUMENT: must
RULE` says which values are accepted, and the imperative after it is the remedy. On the command line the exit status is
2.
"""

_USAGE = """\
## Usage errors of the command line

The cause is always the same: the arguments of a command cannot be used together, or one has not the form that it needs.
Nothing was sent. The exit status is 2, and `--help` shows the arguments.
"""

_BY_HAND = {
    "SessionClosedError", "TransportError", "DeadlineExceededError", "OutcomeUnknownError", "ProtocolError",
    "JobFailedError", "SkippedError", "JournalError", "StoreLostError", "AuthenticationError", "RateLimitError",
    "PreconditionFailedError", "FieldingError", "WebhookVerificationError", "NoPostgresError", "KeyError",
    "NoSuchRunError", "warn", "_warn",
}  # fmt: skip
_SECTIONS = {
    "core": "Arguments, settings and values",
    "session": "Arguments, settings and values",
    "engine": "Arguments, settings and values",
    "handles": "Methods of handles and lists",
    "http": "Connections: http=, ssl=, proxy=",
    "telemetry": "Connections: http=, ssl=, proxy=",
    "batch": "perform_all",
    "journal": "Journals",
    "coordination": "Shared pace",
    "plans": "Plans in PostgreSQL",
    "queues": "Queues",
    "sandbox": "The sandbox",
    "webhooks": "Webhooks",
    "cli": "The command line",
}


def _has_words(text: str) -> bool:
    return re.search(r"[a-z]{3}", text) is not None


def named_by_hand() -> dict[str, Message]:
    """Return the messages that need an entry of their own, by their words."""
    return {
        words: message
        for message in messages_of_package()
        if message.kind in _BY_HAND and not message.path.endswith("coordination/run_hints.py")
        for words in map(words_of, message.texts)
        if _has_words(words)
    }


def described() -> set[str]:
    """Return the messages that have an entry."""
    return {words for entries in ENTRIES.values() for messages, _, _ in entries for words in messages}


def self_explaining(*kinds: str) -> dict[str, list[tuple[str, str]]]:
    """Return the messages of these classes by section, each with its remedy."""
    found: dict[str, dict[str, str]] = {}
    for message in messages_of_package():
        if message.kind in kinds:
            section = _SECTIONS[re.split(r"[/.]", message.path)[0]]
            for words in map(words_of, message.texts):
                remedy = _remedy_of(words)
                if remedy is not None:
                    found.setdefault(section, {})[words] = remedy
    return {section: sorted(rows.items(), key=lambda row: row[0].lower()) for section, rows in found.items()}


def _remedy_of(words: str) -> str | None:
    """Return the clause of a message that says what to do; `None` if another message is passed on, which has it."""
    clauses = [
        match.start() for match in REMEDY.finditer(words) if match.start() > 0 and words[match.start()] in ":;,.("
    ]
    if clauses:
        return _sentence(words[clauses[0] :].strip(" :;,.("))
    rule = words.find("must ")
    if rule >= 0 and _has_words(words[rule + 5 :]):
        return _sentence(f"it {words[rule:].rstrip(';')}")
    return None


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}".rstrip(".")
    if text.count(")") > text.count("("):
        text = text.removesuffix(")")
    return text if text.endswith("?") else f"{text}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    mark = "``" if "`" in text else "`"
    return f"{mark}{' ' * (mark == '``')}{_cell(text)}{' ' * (mark == '``')}{mark}"


def rendered() -> str:
    """Return the page."""
    lines = [_HEAD]
    for title, entries in ENTRIES.items():
        lines += [f"## {title}\n", "| message | cause | remedy |", "| --- | --- | --- |"]
        for messages, cause, remedy in entries:
            lines.append(f"| {'<br>'.join(map(_code, messages))} | {_cell(cause)} | {_cell(remedy)} |")
        lines.append("")
    for head, kinds in ((_SELF, ("ConfigurationError",)), (_USAGE, ("UsageError", "BadParameter"))):
        lines.append(head)
        for section, rows in self_explaining(*kinds).items():
            if kinds[0] == "ConfigurationError":
                lines.append(f"### {section}\n")
            lines += ["| message | remedy |", "| --- | --- |"]
            lines += [f"| {_code(words)} | {_cell(remedy)} |" for words, remedy in rows]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(rendered(), encoding="utf-8")
