"""Tables of lines for a terminal: columns that do not fit are shortened or left out, ids never. Pure."""

from collections.abc import Callable, Sequence

from attrs import field, frozen
from rich.cells import cell_len, set_cell_size
from rich.text import Text

__all__ = ["Column", "Layout", "lay_out", "table_lines"]

_GAP = 2  # blanks between columns
_MORE = "…"


@frozen(kw_only=True)
class Column:
    """A column of a table.

    `rank`: of the columns that do not fit side by side, that with the highest rank is left out first; the first column
    of rank 0 is always shown. `shortest`: the width in cells to which its texts may be cut, `None` if they are never
    cut. `style`: returns the style of a text, for terminals with colours.
    """

    title: str
    rank: int = 0
    shortest: int | None = None
    is_number: bool = False
    style: Callable[[str], str] | None = field(default=None, eq=False)


@frozen
class Layout:
    """Which columns are shown, by their index, and the width of each in cells. `left_out`: the titles of the others."""

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    left_out: tuple[str, ...]


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> Layout:
    """Return the layout of rows of texts in so many cells; in as many as they need if `width` is `None`."""
    wanted = [
        max([cell_len(column.title), *(cell_len(row[index]) for row in rows)]) for index, column in enumerate(columns)
    ]
    least = [
        needed if column.shortest is None else min(needed, max(column.shortest, cell_len(column.title)))
        for column, needed in zip(columns, wanted, strict=True)
    ]
    shown = list(range(len(columns)))
    if width is None:
        return Layout(tuple(shown), tuple(wanted), ())
    while len(shown) > 1 and _total([least[index] for index in shown]) > width:
        shown.remove(max(shown, key=lambda index: (columns[index].rank, index)))
    widths = {index: wanted[index] for index in shown}
    while (excess := _total(list(widths.values())) - width) > 0:
        spare = {index: widths[index] - least[index] for index in shown if widths[index] > least[index]}
        if not spare:
            break
        widest = max(spare, key=lambda index: widths[index])
        # down to the next widest at most, so that two long columns end up equally wide
        others = [widths[index] for index in spare if index != widest]
        step = max(1, widths[widest] - max(others, default=0))
        widths[widest] -= min(excess, spare[widest], step)
    left_out = tuple(column.title for index, column in enumerate(columns) if index not in widths)
    return Layout(tuple(shown), tuple(widths[index] for index in shown), left_out)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], layout: Layout) -> list[Text]:
    """Return the titles and the rows as lines, without blanks at their ends."""
    heading = _line(columns, [column.title for column in columns], layout)
    heading.stylize("bold")
    return [heading, *(_line(columns, row, layout, is_row=True) for row in rows)]


def _line(columns: Sequence[Column], texts: Sequence[str], layout: Layout, *, is_row: bool = False) -> Text:
    line = Text(no_wrap=True)
    gap = 0
    for index, width in zip(layout.shown, layout.widths, strict=True):
        column, text = columns[index], texts[index]
        if cell_len(text) > width:
            text = f"{set_cell_size(text, width - 1).rstrip()}{_MORE}"
        blanks = width - cell_len(text)
        before, after = (blanks, 0) if column.is_number else (0, blanks)
        style = column.style(texts[index]) if is_row and column.style is not None else ""
        if text:
            line.append(" " * (gap + before))
            line.append(text, style)
            gap = after + _GAP
        else:
            gap += before + after + _GAP
    return line
