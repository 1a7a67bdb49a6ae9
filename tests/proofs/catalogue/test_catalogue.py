"""The catalogue of errors has an entry for each message of the package, and no other."""

import pytest

from .entries import ENTRIES
from .page import PAGE, described, named_by_hand, rendered, self_explaining

pytestmark = pytest.mark.once


def test_each_message_in_the_code_has_an_entry_with_cause_and_remedy() -> None:
    """What is missing goes to `entries.py`."""
    assert set(named_by_hand()) - described() == set()


def test_each_entry_has_a_cause_and_a_remedy() -> None:
    """Both are sentences, and no message is there twice."""
    listed = [words for entries in ENTRIES.values() for messages, _, _ in entries for words in messages]
    assert len(listed) == len(set(listed))
    for entries in ENTRIES.values():
        for messages, cause, remedy in entries:
            assert messages
            assert cause.endswith((".", ")"))
            assert remedy.endswith(".")


def test_each_message_that_explains_itself_has_a_remedy() -> None:
    """It is taken from the message, and is never empty."""
    for kinds in (("ConfigurationError",), ("UsageError", "BadParameter")):
        for rows in self_explaining(*kinds).values():
            assert all(len(remedy) > 4 for _, remedy in rows)


def test_the_page_is_what_the_code_says() -> None:
    """`python -m tests.proofs.catalogue.page --write` renews it."""
    assert PAGE.read_text(encoding="utf-8") == rendered()
