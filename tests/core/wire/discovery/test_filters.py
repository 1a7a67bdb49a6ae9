"""Filters: what is sent for them, and what is refused before anything is sent."""

from collections.abc import Callable
from typing import Any

import pytest

from fielding_async import ConfigurationError, FieldingSession, ProjectStatus, TargetGroupStatus
from fielding_async.core.wire.discovery.filters import change_params, project_params, target_group_params
from fielding_async.core.wire.operations import operation
from fielding_async.core.wire.requests import request

MANAGER = "96C65204-90C2-4DCB-9393-B8226DD50C76"
fielding = FieldingSession("token")
ACCOUNT = fielding.account(101)
PROJECT = ACCOUNT.project("0" * 26)
GROUP = PROJECT.target_group("1" * 26)


def test_filters_of_projects_are_written_as_described() -> None:
    """Each filter has the name that the API gives it."""
    assert project_params(
        status=ProjectStatus.ACTIVE, search="Test Project", project_manager_id=MANAGER, page_size=7
    ) == (
        ("page_size", "7"),
        ("status", "active"),
        ("search_string", "Test Project"),
        ("project_manager_id", MANAGER),
    )


def test_an_array_is_a_repeated_parameter() -> None:
    """Values keep their order, and each is sent once."""
    params = target_group_params(
        status=["live", TargetGroupStatus.PAUSED, "live"], country="us", language=("eng", "deu"), exclusion_status=False
    )
    assert params == (
        ("page_size", "100"),
        ("status", "live"),
        ("status", "paused"),
        ("country", "us"),
        ("language", "eng"),
        ("language", "deu"),
        ("exclusion_status", "false"),
    )
    assert change_params(types=iter(["status_change", "cpi_change"]), page_size=50)[1:] == (
        ("change_types", "status_change"),
        ("change_types", "cpi_change"),
    )
    assert target_group_params(human_readable_ids=["9NRV3B9"])[1:] == (("human_readable_ids", "9NRV3B9"),)


def test_a_query_is_encoded() -> None:
    """What has a meaning in a query, and what is no ASCII, is percent-encoded as UTF-8."""
    asked = request(operation("list-accounts"), {}, params=[("search_string", "a&b=c+ü /%"), ("start_after", "x==")])
    assert (asked.path, asked.query) == ("/accounts", "?search_string=a%26b%3Dc%2B%C3%BC%20%2F%25&start_after=x%3D%3D")
    assert request(operation("list-accounts"), {}).query == ""


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: ACCOUNT.list_projects(status="live"), r"status='live': must be one of \"active\", \"inactive\""),
    (lambda: ACCOUNT.list_projects(status=["active"]), "status="),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: ACCOUNT.list_projects(search="abcd"), "search='abcd': must be a str of 5 to 128 printable characters"),
    (lambda: ACCOUNT.list_projects(search="x" * 129), "search="),
    (lambda: ACCOUNT.list_projects(search="abcde\n"), "search="),
    (lambda: ACCOUNT.list_projects(project_manager_id="me"), "project_manager_id='me': must be .* a UUID"),
    (lambda: ACCOUNT.list_projects(page_size=0), "page_size=0: must be an int from 1 to 100"),
    (lambda: ACCOUNT.list_projects(page_size=101), "page_size=101"),
    (lambda: ACCOUNT.list_projects(page_size=True), "page_size=True"),
    (lambda: ACCOUNT.list_projects(timeout=-1), "timeout=-1"),
    (lambda: fielding.list_accounts(timeout=0), "timeout=0"),
    (lambda: fielding.account(-1), "account_id=-1"),
    (lambda: ACCOUNT.project("short"), "project_id='short'"),
    (lambda: PROJECT.list_target_groups(status="Live"), r"status='Live': must be one of \"draft\", \"scheduled\""),
    (lambda: PROJECT.list_target_groups(status=["live", 5]), r"status\[1\]=5"),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    (lambda: PROJECT.list_target_groups(status=[]), "status: must name at least one value"),
    (lambda: PROJECT.list_target_groups(status=5), "status=5: must be a str, or a collection of str"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: PROJECT.list_target_groups(status={"live": 1}), "status="),
    (lambda: PROJECT.list_target_groups(search=""), "search=''"),
    (lambda: PROJECT.list_target_groups(country="USA"), "country='USA': must be two small letters"),
    (lambda: PROJECT.list_target_groups(country=["us", "US"]), r"country\[1\]='US'"),
    (lambda: PROJECT.list_target_groups(language="en"), "language='en': must be three small letters"),
    (lambda: PROJECT.list_target_groups(exclusion_status="yes"), "exclusion_status='yes': must be True or False"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: PROJECT.list_target_groups(human_readable_ids="9NRV3B9"), "human_readable_ids='9NRV3B9': .*not one str"),
    (lambda: PROJECT.list_target_groups(human_readable_ids=["9NRV3B"]), r"human_readable_ids\[0\]='9NRV3B'"),
    (
        lambda: PROJECT.list_target_groups(human_readable_ids=["9NRV3B9"], search="wave"),
        "human_readable_ids: must be the only filter, as the API defines it: leave out search",
    ),
    (
        lambda: PROJECT.list_target_groups(
            human_readable_ids=["9NRV3B9"], target_group_customer_reference_numbers=["AB-1"]
        ),
        "target_group_customer_reference_numbers: must be the only filter, .*: leave out human_readable_ids",
    ),
    (lambda: PROJECT.list_target_groups(target_group_customer_reference_numbers=["A/B"]), r"numbers\[0\]='A/B'"),
    (lambda: GROUP.list_changes(types="Status"), "types='Status': must be a type of change"),
    (lambda: GROUP.list_changes(types=()), "types: must name at least one value"),
    (lambda: GROUP.list_changes(page_size=51), "page_size=51: must be an int from 1 to 50"),
    (
        lambda: PROJECT.find_runs(status="archived"),
        "status='archived': must be one of .*; use where= for any other text",
    ),
    (lambda: PROJECT.find_runs(status=[]), "^status: must name at least one value; leave it out to filter by nothing$"),
    (lambda: PROJECT.find_runs(target_group_status="over"), "^target_group_status='over': must be one of"),
    (lambda: PROJECT.find_runs(target_group_status=["live", "x"]), r"^target_group_status\[1\]='x': must be one of"),
    (lambda: PROJECT.find_runs(target_group_status=()), "^target_group_status: must name at least one value"),
    (lambda: PROJECT.find_runs(concurrency=0), "concurrency=0: must be an int from 1 to 1000"),
    (lambda: PROJECT.find_runs(where="live"), "where: must be a callable that takes a FoundRun, not str"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: PROJECT.find_runs(where=_async), "where: must be a plain callable"),
]


async def _async(_: Any) -> bool:
    return True


@pytest.mark.parametrize(("make", "text"), REFUSED)
def test_a_bad_filter_is_refused_with_its_rule(make: Callable[[], object], text: str) -> None:
    """The error names the argument, what was passed, and what it must be; the session need not be entered."""
    with pytest.raises(ConfigurationError, match=text):
        make()
