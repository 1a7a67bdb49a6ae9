"""Ids that handles are made with."""

from enum import Enum

from attrs import astuple

from fielding_async import FieldingSession


class Project(str, Enum):  # noqa: UP042 - what older code has
    MINE = "0" * 26


def test_the_ids_of_handles_are_plain() -> None:
    """So it is wherever an id is taken."""
    project = FieldingSession("token").project(101, Project.MINE)
    run = project.target_group(Project.MINE).run(Project.MINE)
    assert {type(each) for each in (project.project_id, *astuple(run.ref)[1:])} == {str}
