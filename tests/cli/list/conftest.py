"""A sandbox with something to find."""

import pytest
from attrs import frozen

from fielding_async import RunRef
from fielding_async.sandbox import Sandbox

PROJECT = "01BTGNYV6HRNK8K8VKZASZCFP0"
FORMULA = "=HYPERLINK(1), a name"
STATUSES = ("live", "live", "paused", "scheduled", "completed")


@frozen
class World:
    """What is in the sandbox: a project of account 101 with five runs, a draft, and another, inactive project."""

    project: str
    other: str
    runs: dict[RunRef, str]
    draft: str

    def of(self, status: str) -> list[str]:
        """The refs of the runs with a status, as texts, in order."""
        return sorted(str(ref) for ref, known in self.runs.items() if known == status)


@pytest.fixture
def world(box: Sandbox) -> World:
    """Fill the sandbox."""
    box.add_account(101, name="Acme Inc.")
    box.add_account(102, name="Globex")
    box.add_project(101, project_id=PROJECT, name="A study of many long words in its name, and of more")
    other = box.add_project(101, name=FORMULA, status="inactive")
    runs: dict[RunRef, str] = {}
    for number, status in enumerate(STATUSES):
        group = box.add_target_group(
            101, PROJECT, name=f"Group {number}", country="us" if number % 2 else "de", filling_goal=1000 + number
        )
        runs[box.add_run(status, target_group_id=group)] = status
    draft = box.add_target_group(101, PROJECT, name="A draft", status="draft")
    return World(f"101/{PROJECT}", other, runs, draft)
