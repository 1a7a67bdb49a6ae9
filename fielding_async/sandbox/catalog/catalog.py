"""The accounts, projects and target groups, and how they are found."""

from collections import deque
from datetime import datetime, timedelta

from fielding_async.core.models import RunRef
from fielding_async.sandbox.serving.bound import Bound, Kept
from fielding_async.sandbox.serving.ids import IdGenerator

from .records import Change, StoredAccount, StoredGroup, StoredProject

__all__ = ["Catalog"]

_CHANGE = 512  # bytes of memory of a change, about
_NO_TIME = timedelta(0)


class Catalog:
    """What the lists show. Accounts and projects are made as target groups need them.

    `seed`: of the statistics. `ids`: for what it makes up.
    """

    def __init__(self, seed: int, ids: IdGenerator, kept: Kept) -> None:
        self.seed = seed
        self.accounts: dict[int, StoredAccount] = {}
        self._ids = ids
        self._projects: dict[tuple[int, str], StoredProject] = {}
        self._groups: dict[tuple[int, str, str], StoredGroup] = {}
        self._projects_by_id: dict[str, StoredProject] = {}
        self._groups_by_id: dict[str, StoredGroup] = {}
        self._bound = Bound(kept)
        self._changed: deque[StoredGroup] = deque()  # an entry for each change that is kept, in order

    # Finding

    def project(self, account_id: int, project_id: str) -> StoredProject | None:
        """Return a project of an account."""
        return self._projects.get((account_id, project_id))

    def group(self, account_id: int, project_id: str, group_id: str) -> StoredGroup | None:
        """Return a target group of a project."""
        return self._groups.get((account_id, project_id, group_id))

    def project_by_id(self, project_id: str) -> StoredProject | None:
        """Return the project of this id: of several in different accounts, the one added first."""
        return self._projects_by_id.get(project_id)

    def group_by_id(self, group_id: str) -> StoredGroup | None:
        """Return the target group of this id: of several in different projects, the one added first."""
        return self._groups_by_id.get(group_id)

    # Adding

    def account(self, account_id: int, name: str | None = None) -> StoredAccount:
        """Return the account of this id; add it if there is none."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = StoredAccount(account_id, name or f"Account {account_id}")
        return account

    def add_project(
        self,
        account_id: int,
        project_id: str,
        now: datetime,
        *,
        name: str | None = None,
        status: str = "active",
        manager: str | None = None,
        reference: str | None = None,
    ) -> StoredProject:
        """Add a project, with its account if there is none."""
        account = self.account(account_id)
        place = len(account.projects)
        project = StoredProject(
            account=account,
            id=project_id,
            place=place,
            human_readable_id=self._short_id(account, 6),
            name=name or f"Project {place + 1}",
            status=status,
            manager=manager or self._ids.uuid(),
            reference=reference,
            created_at=now,
            active_at=now,
        )
        account.projects.append(project)
        self._projects[account_id, project_id] = project
        self._projects_by_id.setdefault(project_id, project)
        return project

    def add_group(
        self,
        account_id: int,
        project_id: str,
        group_id: str,
        now: datetime,
        *,
        name: str | None = None,
        status: str = "draft",
        country: str = "us",
        language: str = "eng",
        manager: str | None = None,
        reference: str | None = None,
        goal: int = 1000,
        exclusion: bool = False,
        created_at: datetime | None = None,
    ) -> StoredGroup:
        """Add a target group, with its project if there is none."""
        project = self.project(account_id, project_id) or self.add_project(account_id, project_id, now)
        place = len(project.groups)
        created_at = created_at or now
        group = StoredGroup(
            project=project,
            id=group_id,
            place=place,
            human_readable_id=self._short_id(project.account, 7),
            name=name or f"Target Group {place + 1}",
            status=status,
            country=country,
            language=language,
            manager=manager or project.manager,
            reference=reference,
            goal=goal,
            exclusion=exclusion,
            created_at=created_at,
            updated_at=created_at,
            seed=self.seed,
            counted_at=now,
        )
        project.groups.append(group)
        project.created_at = min(project.created_at, created_at)
        project.active_at = max(project.active_at, created_at)
        project.revision += 1
        self._groups[account_id, project_id, group_id] = group
        self._groups_by_id.setdefault(group_id, group)
        return group

    def _short_id(self, account: StoredAccount, length: int) -> str:
        while True:
            made = self._ids.ulid()[:length]
            if made not in account.used_ids:
                account.used_ids.add(made)
                return made

    # Changing

    def set_run(
        self, ref: RunRef, status: str, now: datetime, *, live_since: datetime, live_until: datetime, reached: bool
    ) -> None:
        """Give a target group its run, and say when it was live; add the target group if there is none."""
        found = self.group(ref.account_id, ref.project_id, ref.target_group_id)
        if found is None:
            found = self.add_group(ref.account_id, ref.project_id, ref.target_group_id, now, created_at=live_since)
        found.run, found.status, found.goal_reached = ref, status, reached
        self.set_live_time(found, live_since, live_until)

    def set_live_time(self, group: StoredGroup, since: datetime, until: datetime) -> None:
        """Let a target group have been live from one time to another."""
        group.live = group.status == "live"
        group.live_seconds = max(_NO_TIME, until - since).total_seconds()
        group.counted_at = until
        group.project.revision += 1

    def set_status(self, group: StoredGroup, status: str, at: datetime) -> None:
        """Let the status of a target group follow that of its run."""
        at = max(at, group.counted_at)
        if group.live:
            group.live_seconds += (at - group.counted_at).total_seconds()
        group.status, group.live, group.counted_at = status, status == "live", at

    def record_change(self, group: StoredGroup, at: datetime, user: str, items: tuple[dict[str, object], ...]) -> None:
        """Write changes of a target group, made at the same time, into its change log.

        `user`: a user id, `"system"` for the clock, `"marketplace"` for the exchange itself. Each item is the JSON
        object of a change: `object`, `new_value`, `old_value`.
        """
        group.updated_at = max(group.updated_at, at)
        group.project.active_at = max(group.project.active_at, at)
        group.project.revision += 1
        if not items:
            return
        group.change_count += 1
        group.changes.append(Change(group.change_count, at, user, items))
        self._changed.append(group)
        for _ in range(self._bound.add(_CHANGE)):
            self._changed.popleft().changes.pop(0)
