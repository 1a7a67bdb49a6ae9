"""Tables of lines: what does not fit is shortened or left out, and ids are whole at any width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fielding_async.cli.shared.text_table import Column, lay_out, table_lines

ID = "01BTGNYV6HRNK8K8VKZASZCFP0"
COLUMNS = (
    Column(title="Id"),
    Column(title="Name", rank=1, shortest=10),
    Column(title="Status", rank=1),
    Column(title="Done", rank=2, is_number=True),
    Column(title="Last activity", rank=3),
)
ROWS = [
    [ID, "A study of many long words in the name", "active", "1,412", "2031-05-17 12:00"],
    [ID, "Short", "inactive", "7", ""],
]


def shown(width: int | None) -> list[str]:
    """The lines of the table at a width."""
    return [line.plain for line in table_lines(COLUMNS, ROWS, lay_out(COLUMNS, ROWS, width))]


def test_a_table_without_a_width_is_whole() -> None:
    """Where nothing has to fit, nothing is shortened, and no line ends in blanks."""
    assert shown(None) == [
        "Id                          Name                                    Status     Done  Last activity",
        f"{ID}  A study of many long words in the name  active    1,412  2031-05-17 12:00",
        f"{ID}  Short                                   inactive      7",
    ]


def test_a_name_is_shortened_before_a_column_is_left_out() -> None:
    """The columns that may be shortened give way first."""
    assert shown(80)[1] == f"{ID}  A study of many…   active    1,412  2031-05-17 12:00"


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (200, ()),
        (80, ()),
        (70, ("Last activity",)),
        (50, ("Done", "Last activity")),
        (5, ("Name", "Status", "Done", "Last activity")),
    ],
)
def test_the_columns_of_the_highest_rank_are_left_out_first(width: int, left_out: tuple[str, ...]) -> None:
    """What is left out is named; the first column stays, whole, in any width."""
    assert lay_out(COLUMNS, ROWS, width).left_out == left_out
    assert all(ID in line for line in shown(width)[1:])


@given(st.integers(20, 150), st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=60), max_size=5))
def test_lines_never_exceed_the_width(width: int, names: list[str]) -> None:
    """Also with characters that are two cells wide."""
    rows = [["12345678", name, "active", "1", "never"] for name in names]
    for line in table_lines(COLUMNS, rows, lay_out(COLUMNS, rows, width)):
        assert cell_len(line.plain) <= width


def test_a_text_that_is_shortened_says_so() -> None:
    """It ends in an ellipsis, also where a wide character would not fit any more."""
    columns = (Column(title="N", shortest=2),)
    (_, line) = table_lines(columns, [["調査調査"]], lay_out(columns, [["調査調査"]], 4))
    assert line.plain == "調…"


def test_styles_are_those_of_the_whole_text() -> None:
    """A column's style is asked for with the text as it was given."""
    columns = (Column(title="Status", shortest=3, style=lambda text: "green" if text == "live-long" else ""),)
    layout = lay_out(columns, [["live-long"]], 6)
    (heading, line) = table_lines(columns, [["live-long"]], layout)
    assert [span.style for span in line.spans] == ["green"]
    assert heading.plain == "Status"
