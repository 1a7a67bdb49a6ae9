"""The change log of a target group: what was changed, when and by whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import ExchangePauses, Sandbox
from tests.sandbox.api import Api, group_path, serving

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
END, LATER = "2030-01-08T12:00:00.000Z", "2030-01-09T12:00:00.000Z"


@pytest.fixture
async def api() -> Any:
    async with serving(clock=lambda: NOON) as api:
        yield api
        api.sandbox.assert_faults_used()


async def log_of(api: Api, group: Any, query: str = "") -> list[dict[str, Any]]:
    got = await api.send("GET", f"{group_path(group)}/changelog{query}")
    assert got.status == 200
    return list(got.json["changelog"])


async def test_a_target_group_as_added_has_no_changes(api: Api) -> None:
    """What is there from the beginning is no change; neither is a write that changes nothing but the version."""
    ref = api.sandbox.add_run("live")
    api.sandbox.touch(ref)
    assert await log_of(api, ref) == []
    assert await log_of(api, api.sandbox.add_draft()) == []


async def test_writes_of_client_and_colleague_are_on_record(api: Api) -> None:
    """Statuses and dates are shown before and after, the latest first, each with its time and user."""
    ref = api.sandbox.add_run(
        "live", start_fielding_at=NOON - timedelta(days=1), end_fielding_at=NOON + timedelta(days=7)
    )
    await api.act(ref, "pause")
    client = api.sandbox.inspect(ref).last_changed_by
    api.sandbox.advance(60)
    api.sandbox.touch(ref, end_fielding_at=NOON + timedelta(days=8))
    colleague = api.sandbox.inspect(ref).last_changed_by
    second, first = await log_of(api, ref)
    assert first["changes"] == [{"object": "status_change", "new_value": "paused", "old_value": "live"}]
    assert second["changes"] == [
        {"object": "fielding_period_end_date_change", "new_value": LATER, "old_value": END},
    ]
    assert [entry["user"] for entry in (first, second)] == [
        {"type": "las_user", "las_user_id": client},
        {"type": "las_user", "las_user_id": colleague},
    ]
    assert client != colleague
    assert [entry["occurred_at"] for entry in (first, second)] == [
        "2030-01-01T12:00:00.000Z",
        "2030-01-01T12:01:00.000Z",
    ]
    assert first["id"] != second["id"]


async def test_one_write_is_one_entry(api: Api) -> None:
    """A launch changes status and both dates: one entry with three changes."""
    ref = api.sandbox.add_run("scheduled")
    await api.act(ref, "launch-now")
    (entry,) = await log_of(api, ref)
    assert [change["object"] for change in entry["changes"]] == [
        "status_change",
        "fielding_period_start_date_change",
        "fielding_period_end_date_change",
    ]


async def test_the_clock_and_the_exchange_give_reasons(api: Api) -> None:
    """What the exchange does by itself names the system as user, and why it was done."""
    times: dict[str, Any] = {"start_fielding_at": NOON + timedelta(days=1), "end_fielding_at": NOON + timedelta(days=3)}
    ref = api.sandbox.add_run("scheduled", **times)
    api.sandbox.pause_by_exchange(ref, after=86_400 + 60, reason="high_drop_rates")
    api.sandbox.advance(2 * 86_400)
    await api.act(ref, "resume")
    api.sandbox.script(ExchangePauses("after", reason="low_epc"), on="get")
    await api.get(ref)
    await api.act(ref, "resume")
    api.sandbox.pause_by_exchange(ref)
    await api.act(ref, "resume")
    api.sandbox.advance(2 * 86_400)
    told = [(entry["user"]["type"], entry["changes"][0].get("reason_code")) for entry in await log_of(api, ref)]
    assert told[::-1] == [
        ("system_user", None),
        ("system_marketplace_user", "high_drop_rates"),
        ("las_user", None),
        ("system_marketplace_user", "low_epc"),
        ("las_user", None),
        ("system_marketplace_user", "past_soft_launch_end_date"),
        ("las_user", None),
        ("system_user", "past_scheduled_end_date"),
    ]


def test_a_reason_is_one_of_the_api() -> None:
    """Another reason code is refused, by the method and by the fault."""
    sandbox = Sandbox()
    ref = sandbox.add_run("live")
    with pytest.raises(ConfigurationError, match="reason='mood'"):
        sandbox.pause_by_exchange(ref, reason="mood")
    with pytest.raises(ConfigurationError, match="reason='mood'"):
        ExchangePauses(reason="mood")
    assert sandbox.inspect(ref).status == "live"


async def test_a_job_is_on_record_as_its_maker(api: Api) -> None:
    """A launched draft changes from draft, with dates that it did not have; a bulk job is the client's as well."""
    draft = api.sandbox.add_draft()
    await api.draft("launch-from-draft", draft, {"end_fielding_at": END})
    await api.bulk("pause", draft.target_group_id)
    paused, launched = await log_of(api, draft)
    assert launched["changes"] == [
        {"object": "status_change", "new_value": "live", "old_value": "draft"},
        {
            "object": "fielding_period_start_date_change",
            "new_value": "2030-01-01T12:00:00.000Z",
            "old_value": None,
        },
        {"object": "fielding_period_end_date_change", "new_value": END, "old_value": None},
    ]
    assert paused["changes"][0]["new_value"] == "paused"
    assert launched["user"] == paused["user"]


async def test_change_logs_have_pages_and_types(api: Api) -> None:
    """At most 50 entries to a page, an empty cursor at the end, no has_more; types filter entries and changes."""
    ref = api.sandbox.add_run("live")
    for number in range(120):
        status = ("paused", "live")[number % 2] if number % 3 == 0 else None
        api.sandbox.touch(ref, status=status, end_fielding_at=NOON + timedelta(days=9, seconds=number))
    whole: list[dict[str, Any]] = []
    cursor, sizes = "", list[int]()
    while True:
        got = (await api.send("GET", f"{group_path(ref)}/changelog{cursor}")).json
        assert got.keys() == {"changelog", "next_cursor"}
        whole += got["changelog"]
        sizes.append(len(got["changelog"]))
        if got["next_cursor"] == "":
            break
        cursor = f"?start_after={got['next_cursor']}"
    assert sizes == [50, 50, 20]
    assert len({entry["id"] for entry in whole}) == 120
    assert whole[0]["changes"][-1]["new_value"] == "2030-01-10T12:01:59.000Z"
    statuses = await log_of(api, ref, "?change_types=status_change")
    assert {change["object"] for entry in statuses for change in entry["changes"]} == {"status_change"}
    assert len(statuses) == sum(entry["changes"][0]["object"] == "status_change" for entry in whole)
    both = "?change_types=status_change&change_types=fielding_period_end_date_change"
    assert len(await log_of(api, ref, both)) == 50
    assert await log_of(api, ref, "?change_types=name_change") == []


async def test_a_change_between_two_pages_is_neither_lost_nor_doubled(api: Api) -> None:
    """Newer entries come before a cursor that was given out: the next page goes on where the first one ended."""
    ref = api.sandbox.add_run("live")

    def write(number: int) -> None:
        api.sandbox.touch(ref, end_fielding_at=NOON + timedelta(days=9, seconds=number))

    for number in range(4):
        write(number)
    before = [entry["id"] for entry in await log_of(api, ref)]
    first = (await api.send("GET", f"{group_path(ref)}/changelog?page_size=2")).json
    write(4)
    second = (await api.send("GET", f"{group_path(ref)}/changelog?start_after={first['next_cursor']}")).json
    assert [entry["id"] for page in (first, second) for entry in page["changelog"]] == before
    newer = await log_of(api, ref, f"?end_before={first['next_cursor']}")
    assert len(newer) == 2


async def test_change_logs_are_bounded_as_the_history_is() -> None:
    """With `keep` only the latest changes of all target groups are kept."""
    async with serving(keep=3, clock=lambda: NOON) as api:
        refs = [api.sandbox.add_run("live") for _ in range(2)]
        for number in range(4):
            api.sandbox.touch(refs[number % 2], end_fielding_at=NOON + timedelta(days=9 + number))
        api.sandbox.touch(refs[1], status="paused")
        assert [len(await log_of(api, ref)) for ref in refs] == [1, 2]
