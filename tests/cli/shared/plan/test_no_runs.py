"""Plans that name no runs: which those are, that all rows are of one form, and that no run is left out by mistake."""

import json
from collections.abc import Mapping

import pytest

from fielding_async.cli.shared.plan.cells.ids import NO_RUN
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan, check_plan
from fielding_async.cli.shared.plan.line_reader import read_lines
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.core.actions import Pause
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from tests.cli.shared.plan.plan_files import GROUP, PROJECT, REF

NONE = RunRef(101, PROJECT, GROUP, NO_RUN)
IDS: dict[str, object] = {"account_id": 101, "project_id": PROJECT, "target_group_id": GROUP}
THREE = f"101/{PROJECT}/{GROUP}"


def read(*lines: str, ignores: bool = False, account: int | None = None) -> list[PlanRow | BadLine]:
    return list(read_lines([f"{line}\n" for line in lines], Defaults(account, ignores_extra=ignores)))


def of(*rows: Mapping[str, object]) -> list[PlanRow | BadLine]:
    """Read a plan in JSON Lines."""
    return read(*(json.dumps(row) for row in rows))


FORMS = [
    ("account_id,project_id,target_group_id,action", f"101,{PROJECT},{GROUP},pause"),
    ("account_id,project_id,target_group_id,action", f"101.0,{PROJECT},{GROUP},PAUSE"),
    ("ref,action", f"{THREE},pause"),
    ("Ref;Action;target_group_id", f"{THREE};pause;{GROUP}"),
]


@pytest.mark.parametrize("lines", FORMS)
def test_a_table_without_the_column_names_no_runs(lines: tuple[str, str]) -> None:
    """All three ids are there, in three columns or in `ref`."""
    assert read(*lines) == [PlanRow(2, NONE, Pause())]


@pytest.mark.parametrize("row", [{**IDS, "action": "pause"}, {"ref": THREE, "action": "pause"}])
def test_a_row_of_json_without_the_key_names_no_run(row: dict[str, object]) -> None:
    """The key is not there at all."""
    assert of(row) == [PlanRow(1, NONE, Pause())]


def test_account_and_project_may_be_options() -> None:
    """As for any plan."""
    assert read("target_group_id,action,project_id", f"{GROUP},pause,{PROJECT}", account=101) == [
        PlanRow(2, NONE, Pause())
    ]


@pytest.mark.parametrize("cell", ["", " ", '""'])
def test_an_empty_cell_is_a_bad_row(cell: str) -> None:
    """It may be a run that a program could not find: the row is not sent to whatever run there is."""
    header = "account_id,project_id,target_group_id,fielding_run_id,action"
    (bad,) = read(header, f"101,{PROJECT},{GROUP},{cell},pause")
    assert isinstance(bad, BadLine)
    assert bad.text == "fielding_run_id is missing"


@pytest.mark.parametrize("value", [None, ""])
def test_a_key_without_a_value_is_a_bad_row(value: object) -> None:
    """A null is an empty cell."""
    (bad,) = of({**IDS, "fielding_run_id": value, "action": "pause"})
    assert isinstance(bad, BadLine)
    assert bad.text == "fielding_run_id is missing"


@pytest.mark.parametrize("ref", [f"{THREE}/", f"101/{PROJECT}", "", f"{THREE}/R/1"])
def test_a_ref_that_is_cut_off_elsewhere_is_a_bad_row(ref: str) -> None:
    """Three ids or four, and none of them empty."""
    (bad,) = read("ref,action", f"{ref},pause")
    assert isinstance(bad, BadLine)


def test_in_a_mix_each_row_of_the_other_form_is_a_bad_row() -> None:
    """The first row says which form the plan has, in JSON and for refs."""
    with_run = {**IDS, "fielding_run_id": "RUN1", "action": "pause"}
    without = {**IDS, "action": "pause"}
    first, bad, last = of(with_run, without, with_run)
    assert (first, last) == (PlanRow(1, REF, Pause()), PlanRow(3, REF, Pause()))
    assert isinstance(bad, BadLine)
    assert bad.text == "names no run, and line 1 names one: name the run in every row, or in none"
    first, bad, last = of(without, with_run, without)
    assert (first, last) == (PlanRow(1, NONE, Pause()), PlanRow(3, NONE, Pause()))
    assert isinstance(bad, BadLine)
    assert bad.text == "names a run, and line 1 names none: name the run in every row, or in none"
    _, bad, broken, also = read("ref,action", f"{THREE},pause", f"{REF},pause", "x,pause", f"{REF},pause")
    assert [line.line for line in (bad, broken, also) if isinstance(line, BadLine)] == [3, 4, 5]


def test_a_run_of_its_own_column_completes_a_ref_of_three_ids() -> None:
    """Then the row names its run."""
    assert read("ref,fielding_run_id,action", f"{THREE},RUN1,pause") == [PlanRow(2, REF, Pause())]


@pytest.mark.parametrize("name", ["run", "run_id", "Run ID", "runId", "fielding_run", "fieldingRun", "fielding run no"])
def test_a_column_of_runs_under_another_name_is_never_left_out(name: str) -> None:
    """Without it the rows would be for whatever runs their target groups have."""
    header = f"account_id,project_id,target_group_id,action,{name}"
    with pytest.raises(ConfigurationError, match=rf"'{name}' is not left out: did you mean fielding_run_id\? Rename"):
        read(header, f"101,{PROJECT},{GROUP},pause,RUN1", ignores=True)
    with pytest.raises(
        ConfigurationError, match=rf"'{name}' is unknown: did you mean fielding_run_id\? Rename it, or remove"
    ):
        read(header, f"101,{PROJECT},{GROUP},pause,RUN1")
    (found,) = read(f"{header},fielding_run_id", f"101,{PROJECT},{GROUP},pause,x,RUN1", ignores=True)
    assert found == PlanRow(2, REF, Pause())


@pytest.mark.parametrize("name", ["status", "rundown", "brun", "prune"])
def test_other_columns_are_left_out(name: str) -> None:
    """Names that only hold the letters."""
    header = f"account_id,project_id,target_group_id,action,{name}"
    assert read(header, f"101,{PROJECT},{GROUP},pause,x", ignores=True) == [PlanRow(2, NONE, Pause())]


def checked(*lines: str) -> CheckedPlan:
    return check_plan(read(*lines))


def test_the_check_says_so_and_counts_target_groups() -> None:
    """Each has one run, so that duplicates and distinct runs are counted as ever."""
    other = f"101/{PROJECT}/{'2' * 26}"
    found = checked("ref,action", f"{THREE},pause", f"{other},pause", f"{THREE},resume", f"{THREE},pause")
    assert (found.names_no_runs, found.distinct_runs, found.duplicates, found.first_duplicate) == (True, 2, 1, 5)
    assert found.requests == 2 * 2 + 2
    assert not checked("ref,action", f"{REF},pause").names_no_runs


def test_the_digest_is_that_of_what_the_plan_says() -> None:
    """However it is written; and another one than that of a plan that names runs."""
    digests = {checked(*lines).digest for lines in FORMS}
    digests |= {check_plan(of({**IDS, "action": "pause"})).digest}
    assert len(digests) == 1
    assert checked("ref,action", f"{REF},pause").digest not in digests
