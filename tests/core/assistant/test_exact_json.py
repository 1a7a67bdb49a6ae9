"""JSON that is kept as it was written."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async import ConfigurationError, JsonNumber
from fielding_async.core.assistant.exact_json import dump, load, meaning, members, object_text

__all__ = ["numbers", "values"]

numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True).map(JsonNumber)
leaves = st.none() | st.booleans() | st.text() | numbers
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@given(values)
def test_a_value_that_is_written_is_read_as_it_was(value: Any) -> None:
    """Texts, lone surrogates among them, order, nesting and the digits of numbers come back."""
    again = load(dump(value))
    assert again == value
    assert dump(again) == dump(value)
    assert meaning(again) == meaning(value)


@given(st.dictionaries(st.text(), values, max_size=5), st.sampled_from(["", " ", "\n\t "]))
def test_members_are_the_texts_as_they_stand(content: dict[str, Any], space: str) -> None:
    """The text of each member is that of the object, whatever space is around it, and makes the same object again."""
    inner = f"{space},{space}".join(f"{json.dumps(name)}{space}:{space}{dump(part)}" for name, part in content.items())
    found = members(f"{space}{{{space}{inner}{space}}}{space}")
    assert found == {name: dump(part) for name, part in content.items()}
    assert list(found) == list(content)
    assert load(object_text(found)) == content


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.10", "1.1", True),
        ("1e400", "10E+399", True),
        ("0", "-0.000e7", True),
        ("1e400", "1e401", False),
        ("12345678901234567890123456789012345678901", "12345678901234567890123456789012345678902", False),
        ("1e99999999999999999999", "10e99999999999999999998", True),
        ('{"a":1,"b":[2.0]}', '{"b":[2],"a":1.0}', True),
        ("[1,2]", "[2,1]", False),
        ("true", "1", False),
        ('"1"', "1", False),
        ('"\\u0041"', '"A"', True),
    ],
)
def test_what_means_the_same_is_the_same(one: str, other: str, *, same: bool) -> None:
    """Numbers are compared by value, exactly; the order of members does not count, that of entries does."""
    assert (meaning(load(one)) == meaning(load(other))) is same


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '{"a":1}x', '{"a":NaN}', '{"a":Infinity}', '{"a":1,"a":2}', "\ufeff{}", '{"a":' * 200 + "1"],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    """What is not JSON, is no object, names a member twice or is nested without end raises `ValueError`."""
    with pytest.raises(ValueError, match=r"."):
        members(text)
    with pytest.raises(ValueError, match="deep"):
        load("[" * 200_000)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (float("nan"), "finite"),
        (Decimal("-Infinity"), "finite"),
        ([10**5000], "JsonNumber"),
        ({1: 2}, "must be a str"),
        ({"a": [object()]}, r"value\.a\[0\]"),
    ],
)
def test_what_is_no_json_is_named(value: Any, named: str) -> None:
    """A value that cannot be written is a `ConfigurationError` that names its place."""
    with pytest.raises(ConfigurationError, match=named):
        dump(value)
    looped: list[Any] = []
    looped.append(looped)
    with pytest.raises(ConfigurationError, match="levels"):
        dump(looped)


def test_a_number_converts() -> None:
    """A number is converted by its caller, and keeps its text."""
    assert int(JsonNumber("7")) == 7
    assert float(JsonNumber("1.10")) == 1.1
    assert dump([7, 1.5, Decimal("1.10"), JsonNumber("1e400")]) == "[7,1.5,1.10,1e400]"
    with pytest.raises(ConfigurationError, match="text of a JSON number"):
        JsonNumber("1.")
