"""Files of plans: what is no plan, what cannot be read, and what can be read only once."""

import os
from pathlib import Path

import pytest

from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.lines import LONGEST
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.core.actions import Pause
from fielding_async.core.errors import ConfigurationError
from tests.cli.shared.plan.plan_files import HEADER, PAUSE, REF, read


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (f"{HEADER}\n{PAUSE}\n".encode("utf-16"), "is UTF-16 text: in Excel, save it as 'CSV UTF-8"),
        (f"{HEADER}\n{PAUSE}\n".encode("utf-16-le"), "is UTF-16 or binary"),
        (b"PK\x03\x04 and so on", "is a workbook or an archive"),
        (b"\x1f\x8b and so on", "is compressed"),
        (b'[{"action": "pause"}]', "is a JSON array: a plan in JSON has one object on each line"),
        (PAUSE.encode(), "line 1 names no column of a plan"),
        (b"RUN1\n", "line 1 names no column of a plan"),
        (b"account_id,project_id,target_group_id,fielding_run_id\n", "column action is missing"),
        (b"target_group_id,fielding_run_id,action\n", "column account_id is missing (or give --account)"),
        (f"{HEADER},end_fieldng_at\n".encode(), "column 'end_fieldng_at' is unknown (did you mean end_fielding_at?)"),
        (f"{HEADER},note\n".encode(), "column 'note' is unknown"),
        (f"{HEADER},action\n".encode(), "column action is there more than once"),
        (f'"{HEADER}\n'.encode(), "line 1 opens a quote"),
        (b"\xff\n", "line 1: is not UTF-8 text"),
        (b"x" * (LONGEST + 5), "line 1 is longer than 1,048,576 characters"),
    ],
)
def test_what_cannot_be_a_plan_is_refused_as_a_whole(content: bytes, said: str, tmp_path: Path) -> None:
    """A file of another kind, or without the right columns, is one message that names the file."""
    with pytest.raises(ConfigurationError) as caught:
        read(content, tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / 'plan.csv'}: ")
    assert said in caught.value.message


def test_bytes_that_are_not_utf_8_make_one_bad_line(tmp_path: Path) -> None:
    """The lines around a line in another encoding are read."""
    content = f"{HEADER}\n{PAUSE}\n{PAUSE}".encode() + b"\xe9\n" + PAUSE.encode()
    rows = read(content, tmp_path)
    assert [type(row) for row in rows] == [PlanRow, BadLine, PlanRow]
    assert isinstance(rows[1], BadLine)
    assert (rows[1].line, rows[1].text) == (3, "is not UTF-8 text")


def test_a_file_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    """A missing file and a folder are said as such."""
    for path, said in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=said):
            PlanFile(str(path))


def test_a_pipe_is_read_twice(tmp_path: Path) -> None:
    """What cannot be read twice is copied, and is known not to last."""
    reading, writing = os.pipe()
    os.write(writing, f"{HEADER}\n{PAUSE}\n".encode())
    os.close(writing)
    with PlanFile(f"/dev/fd/{reading}") as file:
        os.close(reading)
        assert not file.is_lasting
        assert list(file.rows(Defaults())) == list(file.rows(Defaults())) == [PlanRow(2, REF, Pause())]
