"""What the messages of the package are held to, found in its source."""

import re

import pytest

from tests.tools.messages import Message, messages_of_package, words_of

RULE = re.compile(r"\bmust\b")
"""A rule in this form says what to pass: it is the remedy as well."""

REMEDY = re.compile(
    r"(?:^|[:;,.(]\s*|\b(?:or|and|then|in Excel,)\s+)(?:to continue,\s+|first\s+)?"
    r"(?:add|ask|call|cancel|check|choose|close|continue|copy|correct|define|delete|export|fetch|give|grant|install|"
    r"iterate|leave|list|make|move|name|pass|pip install|point|put|remove|repair|restore|run|save|send|set|stop|submit|"
    r"take|try|use|wait|work it off|write|did you mean)\b",
    re.IGNORECASE,
)
"""An imperative at the start of a clause."""

PASSED_ON = {
    "cli/apply/command.py": "the message of `rate_problem`, in the form NAME: must …",
    "cli/apply/execution.py": "the message of a journal, which has its remedy",
    "cli/apply/preview.py": "the message of a journal, which has its remedy",
    "cli/batch/target_group_ids.py": "the message of the check of an id",
    "cli/list/order.py": "the message of an argument, with the name of the option",
    "cli/plans/running.py": "the message of a plan, in the words of the command line",
    "cli/sandbox/settings.py": "the message of an argument, with the name of the option",
    "cli/shared/plan/file.py": "the message of what is in the file, with its name",
    "cli/shared/plan/file_kinds.py": "the kinds of files, each with its command; held by tests of these",
    "cli/shared/plan/header.py": "the columns that are wrong, with the names that are known",
    "cli/shared/plan/json_rows.py": "the keys that are wrong, with the names that are known",
    "cli/shared/plan/line_reader.py": "the problem of a line, with the line",
    "cli/shared/question.py": "the advice of each command, such as `give --yes`",
    "coordination/address.py": "the problem that redis-py has with the address",
    "core/addresses.py": "each problem of a URL, by `_problem_of`; held by the table of mistakes",
    "core/credentials.py": "each problem of a token, by `_problem_of`; held by the table of mistakes",
    "core/wire/raw_requests.py": "each problem of a path, by `_problem_of`, in the form must …",
    "journal/locked_file.py": "raised in a thread whose batch is gone: nobody sees it",
    "journal/reader.py": "the message of what is in the journal, with its name",
    "plans/submission.py": "the message of the check of a row, with its number",
    "plans/values/plan_state.py": "each state with its remedy, in a table",
    "plans/working/shard_storage.py": "the message of what is in the journal, with its name",
    "sandbox/faults/script.py": "each rule of a fault, in a table",
    "sandbox/sandbox.py": "the rules of the API on an assignment",
}
"""Files in which a message takes its rule and remedy from elsewhere, with from where."""

REFUSALS = [message for message in messages_of_package() if message.kind == "ConfigurationError"]


def _is_complete(text: str) -> bool:
    """Whether a text names the argument or setting that it is about, and the rule or the remedy."""
    names_something = re.match(r"(?!must\b)[^:]*\w[^:]*(?::|\bmust\b|,|;|=)", text.replace("{…}", "x")) is not None
    return names_something and (RULE.search(text) is not None or REMEDY.search(text) is not None)


@pytest.mark.parametrize("message", REFUSALS, ids=str)
def test_each_configuration_error_names_what_is_wrong_the_rule_and_the_remedy(message: Message) -> None:
    """`ARGUMENT: must RULE` says what to pass; any other form ends in what to do."""
    incomplete = [text for text in message.texts if not _is_complete(text)]
    if message.path in PASSED_ON:
        # what is passed on has no words of its own that could name a remedy
        incomplete = [text for text in incomplete if "{…}" not in text]
    assert not incomplete, [words_of(text) for text in incomplete]


def test_each_exception_is_needed() -> None:
    """A file whose messages are all complete is not in the list."""
    needed = {message.path for message in REFUSALS if not all(map(_is_complete, message.texts))}
    assert needed == PASSED_ON.keys()


@pytest.mark.parametrize(
    ("text", "is_complete"),
    [
        ("limits: must be a Limits, not int", True),
        ("no token: set FIELDING_TOKEN", True),
        ("timeout: is wrong", False),
        ("must be a number", False),
        ("the file cannot be read", False),
        ("{…}: cannot be read: {…}: name another file", True),
    ],
)
def test_the_check_finds_what_it_is_for(text: str, is_complete: bool) -> None:
    """A text that only says that something is wrong is not enough."""
    assert _is_complete(text) == is_complete
