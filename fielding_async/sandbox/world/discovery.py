"""The answers about accounts, projects and target groups: lists in pages, overviews, change logs."""

from collections.abc import Callable, Iterable
from datetime import datetime
from html import escape
from typing import Any

from fielding_async.sandbox.catalog.bodies import Bodies
from fielding_async.sandbox.catalog.catalog import Catalog
from fielding_async.sandbox.catalog.pages import Cursors, Page, PageForm, UnknownCursor, cut_page
from fielding_async.sandbox.catalog.records import Change, StoredGroup, StoredProject
from fielding_async.sandbox.catalog.statistics import ProjectStatistics, as_of, group_statistics, project_statistics
from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.query_form import Query
from fielding_async.sandbox.serving.replies import Reply, error_reply, json_reply
from fielding_async.sandbox.serving.request_form import RequestForm

from .behaviour import Behaviour
from .representations import location
from .runs import Runs

__all__ = ["Discovery"]

_PROJECT_ETAG = 'W/"1"'  # nothing changes a project


class Discovery:
    """Answers GETs from the catalog. The status of a target group with a run is that of its run, as GETs show it."""

    def __init__(self, catalog: Catalog, runs: Runs, behaviour: Behaviour, ids: IdGenerator) -> None:
        self._catalog, self._runs, self._behaviour, self._ids = catalog, runs, behaviour, ids
        self._shows_at_once = not behaviour.read_lag and not behaviour.apply_delay
        self._cursors = Cursors(catalog.seed)
        self._bodies = Bodies(behaviour.discovery_dates, nulls=behaviour.discovery_nulls)
        self._totals: dict[StoredProject, tuple[datetime, int, ProjectStatistics]] = {}
        self._projects_form = PageForm(
            last_cursor=behaviour.last_cursor, endless=behaviour.endless_lists, more_if_before=False
        )
        self._groups_form = PageForm(
            last_cursor=behaviour.last_cursor,
            endless=behaviour.endless_lists,
            more_if_before=behaviour.has_more_backwards,
        )
        self._changes_form = PageForm(last_cursor="empty", endless=behaviour.endless_lists, more_if_before=False)

    def answer(self, operation: str, form: RequestForm, now: datetime) -> Reply:
        """Answer a GET, whose form was checked."""
        try:
            return self._answer(operation, form, now)
        except UnknownCursor as unknown:
            return error_reply(400, self._ids, invalid=((str(unknown), "is no cursor of this list"),))

    def _answer(self, operation: str, form: RequestForm, now: datetime) -> Reply:
        if operation == "list-accounts":
            shown = [self._bodies.account(account) for account in self._catalog.accounts.values()]
            return json_reply(200, {"accounts": shown})
        if operation == "list-projects":
            return self._projects(form, now)
        if operation == "target-group-overview-by-id":
            return self._group_overview(self._catalog.group_by_id(form.target_group_id), now, by_id=True)
        if not form.target_group_id:
            project = self._catalog.project(form.account_id, form.project_id)
            return error_reply(404, self._ids) if project is None else self._project(operation, project, form, now)
        group = self._catalog.group(form.account_id, form.project_id, form.target_group_id)
        if operation == "target-group-overview":
            return self._group_overview(group, now, by_id=False)
        if group is None:
            return error_reply(404, self._ids)
        return self._changes(group, form) if operation == "list-changes" else self._group(group, form, now)

    def _projects(self, form: RequestForm, now: datetime) -> Reply:
        account = self._catalog.accounts.get(form.account_id)
        if account is None:
            return error_reply(404, self._ids)
        query = form.query

        def passes(project: StoredProject) -> bool:
            return (
                (not query.status or project.status in query.status)
                and (not query.project_manager_id or project.manager.lower() == query.project_manager_id)
                and (not query.search or _project_matches(project, query.search) is not None)
            )

        url = f"/accounts/{account.id}/projects"
        page = cut_page(url, account.projects, 0, passes, query, self._cursors, self._projects_form)
        shown = [self._project_item(project, query, now) for project in page.entries]
        return _page_reply("projects", shown, page, url)

    def _project_item(self, project: StoredProject, query: Query, now: datetime) -> dict[str, Any]:
        matches = _project_matches(project, query.search) if query.search else None
        return self._bodies.project_item(project, self._total(project, now), matches or {})

    def _project(self, operation: str, project: StoredProject, form: RequestForm, now: datetime) -> Reply:
        match operation:
            case "get-project":
                return json_reply(200, self._bodies.project(project), (("ETag", _PROJECT_ETAG),))
            case "project-overview":
                return json_reply(200, self._bodies.project_overview(project, self._total(project, now)))
            case _:
                return self._groups(project, form.query, now)

    def _groups(self, project: StoredProject, query: Query, now: datetime) -> Reply:
        url = f"/accounts/{project.account.id}/projects/{project.id}/target-groups"
        passes = self._group_filter(query, now)
        page = cut_page(url, project.groups, 0, passes, query, self._cursors, self._groups_form)
        moment = as_of(now)
        shown: list[dict[str, Any]] = []
        for group in page.entries:
            matches: dict[str, Any] = {}
            if query.search and query.search in group.name.lower():
                matches = {"highlighted_name": _highlighted(group.name, query.search)}
            statistics = group_statistics(group, moment)
            shown.append(self._bodies.group_item(group, self._status(group, now), statistics, matches))
        return _page_reply("target_groups", shown, page, url)

    def _group_filter(self, query: Query, now: datetime) -> Callable[[StoredGroup], bool]:
        """Return what the filters of a query let pass; only those that are given count."""
        tests: list[Callable[[StoredGroup], bool]] = []
        if query.status:
            tests.append(lambda group: self._status(group, now) in query.status)
        if query.country:
            tests.append(lambda group: group.country in query.country)
        if query.language:
            tests.append(lambda group: group.language in query.language)
        if query.project_manager_id:
            tests.append(lambda group: group.manager.lower() == query.project_manager_id)
        if query.exclusion is not None:
            tests.append(lambda group: group.exclusion is query.exclusion)
        if query.human_readable_ids:
            tests.append(lambda group: group.human_readable_id in query.human_readable_ids)
        if query.reference_numbers:
            tests.append(lambda group: group.reference in query.reference_numbers)
        if query.search:
            tests.append(lambda group: _finds(query.search, (group.name, group.human_readable_id)))
        if len(tests) == 1:
            return tests[0]
        return lambda group: all(test(group) for test in tests)

    def _group(self, group: StoredGroup, form: RequestForm, now: datetime) -> Reply:
        if self._status(group, now) == "draft":
            return json_reply(200, self._bodies.draft(group))
        path = f"/v1/demand/accounts/{form.account_id}/projects/{form.project_id}/target-groups/{group.id}/details"
        return Reply(301, (("Location", location(path, group.id, self._behaviour)),))

    def _group_overview(self, group: StoredGroup | None, now: datetime, *, by_id: bool) -> Reply:
        status = "draft" if group is None else self._status(group, now)
        if group is None or status == "draft":
            return error_reply(404, self._ids)
        statistics = group_statistics(group, as_of(now))
        return json_reply(200, self._bodies.group_overview(group, status, statistics, by_id=by_id))

    def _changes(self, group: StoredGroup, form: RequestForm) -> Reply:
        types = form.query.change_types

        def passes(change: Change) -> bool:
            return not types or any(item["object"] in types for item in change.items)

        listed = f"{group.project.account.id}/{group.project.id}/{group.id}/changelog"
        latest = group.changes[::-1]
        page = cut_page(listed, latest, -group.change_count, passes, form.query, self._cursors, self._changes_form)
        shown = [self._bodies.change(group, change, types) for change in page.entries]
        return json_reply(200, {"changelog": shown, **page.cursor})

    def _status(self, group: StoredGroup, now: datetime) -> str:
        if group.run is None or self._shows_at_once:
            return group.status
        run = self._runs.shown(group.run, now)
        return group.status if run is None else run.status

    def _total(self, project: StoredProject, now: datetime) -> ProjectStatistics:
        moment = as_of(now)
        known = self._totals.get(project)
        if known is None or known[:2] != (moment, project.revision):
            known = moment, project.revision, project_statistics(project.groups, moment)
            self._totals[project] = known
        return known[2]


def _finds(search: str, texts: Iterable[str]) -> bool:
    return any(search in text.lower() for text in texts)


def _project_matches(project: StoredProject, search: str) -> dict[str, Any] | None:
    """Return the fields that show what a search finds in a project; `None` if it finds nothing."""
    matches: dict[str, Any] = {}
    if search in project.name.lower():
        matches["highlighted_name"] = _highlighted(project.name, search)
    ids = [group.human_readable_id for group in project.groups if search in group.human_readable_id.lower()]
    references = [group.reference for group in project.groups if group.reference and search in group.reference.lower()]
    if ids:
        matches["target_group_human_readable_ids"] = ids
    if references:
        matches["target_group_customer_reference_numbers"] = references
    return matches if matches or search in project.human_readable_id.lower() else None


def _highlighted(name: str, search: str) -> str:
    start = name.lower().find(search)
    end = start + len(search)
    return f"{escape(name[:start])}<em>{escape(name[start:end])}</em>{escape(name[end:])}"


def _page_reply(name: str, shown: list[dict[str, Any]], page: Page, url: str) -> Reply:
    return json_reply(200, {name: shown, "url": url, "has_more": page.has_more, **page.cursor})
