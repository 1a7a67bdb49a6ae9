"""Overviews and statistics: they move with the clock while a run is live, and add up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async.sandbox import Behaviour
from fielding_async.sandbox.catalog.catalog import Catalog
from fielding_async.sandbox.catalog.statistics import as_of, group_statistics, project_statistics
from fielding_async.sandbox.serving.bound import Kept
from fielding_async.sandbox.serving.ids import IdGenerator
from tests.sandbox.api import Api, group_path, project_path, serving

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
DAY, HOUR = 86_400, 3_600


def still(**settings: Any) -> Any:
    """A sandbox whose clock moves by `advance` alone."""
    return serving(clock=lambda: NOON, **settings)


async def completes_of(api: Api, group: Any) -> int:
    return int((await api.send("GET", f"{group_path(group)}/overview")).json["progress"]["current_completes"])


async def test_a_live_target_group_collects_completes() -> None:
    """Completes grow with the clock while the run is live, stand still while it is paused, and go on after that."""
    async with still() as api:
        ref = api.sandbox.add_run("live", end_fielding_at=NOON + timedelta(days=90))
        seen: list[int] = []
        for _ in range(3):
            seen.append(await completes_of(api, ref))
            api.sandbox.advance(6 * HOUR)
        assert 0 < seen[0] < seen[1] < seen[2] < 1000
        assert (await api.act(ref, "pause")).status == 204
        paused = await completes_of(api, ref)
        api.sandbox.advance(30 * DAY)
        assert await completes_of(api, ref) == paused > seen[2]
        assert (await api.act(ref, "resume")).status == 204
        assert await completes_of(api, ref) == paused
        api.sandbox.advance(6 * HOUR)
        assert await completes_of(api, ref) > paused


async def test_a_run_that_ends_collects_until_its_end() -> None:
    """A run that the clock starts and ends was live for just that time, however far the clock moves at once."""
    async with still() as api:
        times: dict[str, Any] = {
            "start_fielding_at": NOON + timedelta(days=1),
            "end_fielding_at": NOON + timedelta(days=3),
        }
        ref = api.sandbox.add_run("scheduled", **times)
        assert await completes_of(api, ref) == 0
        api.sandbox.advance(3 * DAY)
        ended = await completes_of(api, ref)
        api.sandbox.advance(300 * DAY)
        overview = (await api.send("GET", f"{group_path(ref)}/overview")).json
        assert overview["status"] == "completed"
        assert overview["progress"]["current_completes"] == ended > 0


async def test_the_same_seed_has_the_same_statistics() -> None:
    """Seed and clock alone decide; another seed gives other numbers."""
    shown: list[Any] = []
    for seed in (1, 1, 2):
        async with still(seed=seed) as api:
            group = "A" * 26
            api.sandbox.add_run("live", target_group_id=group)
            api.sandbox.advance(HOUR)
            (row,) = (await api.send("GET", f"{project_path(api.sandbox)}/target-groups")).json["target_groups"]
            shown.append(row["statistics"])
    assert shown[0] == shown[1] != shown[2]


async def test_statistics_add_up() -> None:
    """A project's overview, its row in the list, and the rows and overviews of its target groups say the same."""
    async with still() as api:
        for status in ("live", "paused", "completed", "scheduled"):
            api.sandbox.add_run(status)
        api.sandbox.add_draft()
        api.sandbox.add_target_group(filling_goal=77, created_at=NOON - timedelta(days=9))
        for seconds in (0, 1, DAY):
            api.sandbox.advance(seconds)
            whole = (await api.send("GET", f"{project_path(api.sandbox)}/overview")).json
            (item,) = (await api.send("GET", "/demand/accounts/101/projects")).json["projects"]
            assert item["statistics"] == whole["statistics"]
            rows = (await api.send("GET", f"{project_path(api.sandbox)}/target-groups")).json["target_groups"]
            progress = [row["statistics"]["progress"]["value"] for row in rows]
            for total, part in {
                "filling_goal": "filling_goal",
                "current_completes": "current_completes",
                "current_prescreens": "current_prescreens",
            }.items():
                assert whole["statistics"][total] == sum(entry[part] for entry in progress)
            assert whole["statistics"]["filling_goal"] == 5077
            for row in rows:
                if row["status"] != "draft":
                    path = f"/demand/target-groups/{row['id']}/overview"
                    overview = (await api.send("GET", path)).json
                    assert overview["progress"] == row["statistics"]["progress"]["value"]
                    assert overview["status"] == row["status"]


async def test_a_goal_that_is_reached_shows() -> None:
    """A run that was added with its goal reached has as many completes as its goal."""
    async with still() as api:
        ref = api.sandbox.add_run("completed", goal_reached=True)
        overview = (await api.send("GET", f"{group_path(ref)}/overview")).json
        assert overview["progress"]["current_completes"] == overview["progress"]["filling_goal"] == 1000
        money = overview["current_cost_per_interview"]
        assert float(overview["current_cost"]["value"]) == pytest.approx(1000 * float(money["value"]))
        assert (money["currency_code"], money["currency_scale"]) == ("USD", 2)


@given(
    seed=st.integers(0, 9),
    goal=st.integers(1, 10**6),
    live=st.lists(st.integers(0, 40 * DAY), min_size=1, max_size=5),
)
def test_statistics_are_within_their_bounds(seed: int, goal: int, live: list[int]) -> None:
    """Counts never fall nor reach the goal, rates are from 0 to 1, and the latest complete lies in the past."""
    catalog = Catalog(seed, IdGenerator(_Bits()), Kept())
    group = catalog.add_group(101, "P" * 26, "T" * 26, NOON, status="live", goal=goal)
    catalog.set_live_time(group, NOON, NOON)
    now, before, latest = NOON, 0, NOON
    for seconds in live:
        now += timedelta(seconds=seconds)
        found = group_statistics(group, as_of(now))
        assert before <= found.completes < goal
        assert found.completes <= found.prescreens <= found.entrants < 2**31
        assert found.screenouts == found.prescreens - found.completes
        for rate in (found.incidence, found.conversion, found.drop_off):
            assert 0 <= rate <= 1
        assert (found.last_complete is None) == (found.completes == 0)
        if found.last_complete is not None:
            assert latest <= found.last_complete + timedelta(milliseconds=1)
            assert found.last_complete <= now
            latest = found.last_complete
        before = found.completes
        total = project_statistics([group, group], as_of(now))
        assert (total.goal, total.completes) == (2 * goal, 2 * found.completes)
        assert 0 <= total.incidence_median <= 1


class _Bits:
    def getrandbits(self, k: int, /) -> int:
        return (1 << k) // 3


async def test_drafts_have_no_overview_and_others_no_draft() -> None:
    """A draft is shown as such, and has no overview by either path; a launched one redirects to its details."""
    async with serving() as api:
        draft, ref = api.sandbox.add_draft(), api.sandbox.add_run("live")
        got = await api.send("GET", group_path(draft))
        assert got.status == 200
        assert (got.json["name"], got.json["completes_goal"]) == ("Target Group 1", 1000)
        for path in (f"{group_path(draft)}/overview", f"/demand/target-groups/{draft.target_group_id}/overview"):
            assert (await api.send("GET", path)).status == 404
        moved = await api.send("GET", group_path(ref))
        assert (moved.status, moved.body) == (301, b"")
        assert moved.headers["Location"] == f"{group_path(ref)}/details"
        job = await api.draft("launch-from-draft", draft, {"end_fielding_at": "2098-01-01T00:00:00.000Z"})
        assert job.status == 201
        assert (await api.send("GET", group_path(draft))).status == 301
        assert (await api.send("GET", f"{group_path(draft)}/overview")).json["status"] == "live"


@pytest.mark.parametrize(
    ("form", "start", "end"),
    [("published", "/demand/", "/details"), ("url", "https://api.cint.com/v1/demand/", "/details"), ("id", "", "")],
)
async def test_the_redirect_has_the_forms_of_location(form: Any, start: str, end: str) -> None:
    """The Location of a launched target group has the form that Behaviour.location names."""
    async with serving(behaviour=Behaviour(location=form)) as api:
        ref = api.sandbox.add_run("live")
        location = (await api.send("GET", group_path(ref))).headers["Location"]
        assert location.startswith(start)
        assert location.endswith(end)
        assert ref.target_group_id in location


async def test_details_of_a_project_have_an_etag(api: Api) -> None:
    """The details of a project show its names and numbers, with an ETag."""
    project = api.sandbox.add_project(7, name="Named", customer_reference_number="RF-4567")
    got = await api.send("GET", f"/demand/accounts/7/projects/{project}")
    assert (got.status, got.etag) == (200, 'W/"1"')
    assert (got.json["name"], got.json["project_customer_reference_number"]) == ("Named", "RF-4567")
    assert (await api.send("GET", f"/demand/accounts/8/projects/{project}")).status == 404


async def test_the_status_follows_the_run_as_gets_show_it() -> None:
    """While GETs of runs lag behind, lists and overviews show the status that those GETs show."""
    async with serving(behaviour=Behaviour(read_lag=3600)) as api:
        ref = api.sandbox.add_run("live")
        assert (await api.act(ref, "pause")).status == 204
        assert (await api.get(ref)).json["status"] == "live"
        assert (await api.send("GET", f"{group_path(ref)}/overview")).json["status"] == "live"
        path = f"{project_path(api.sandbox)}/target-groups?status=live"
        assert len((await api.send("GET", path)).json["target_groups"]) == 1
        api.sandbox.advance(3600)
        assert (await api.send("GET", f"{group_path(ref)}/overview")).json["status"] == "paused"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("milliseconds", "2030-01-01T12:00:00.000Z"),
        ("seconds", "2030-01-01T12:00:00Z"),
        ("offset", "2030-01-01T12:00:00.000000+00:00"),
    ],
)
async def test_dates_have_three_forms(form: Any, shown: str) -> None:
    """Dates of projects, target groups and changes are written in the form that Behaviour names; runs keep theirs."""
    async with still(behaviour=Behaviour(discovery_dates=form)) as api:
        ref = api.sandbox.add_run("scheduled", end_fielding_at=NOON + timedelta(days=9))
        api.sandbox.touch(ref, end_fielding_at=NOON + timedelta(days=8))
        (project,) = (await api.send("GET", "/demand/accounts/101/projects")).json["projects"]
        (group,) = (await api.send("GET", f"{project_path(api.sandbox)}/target-groups")).json["target_groups"]
        (change,) = (await api.send("GET", f"{group_path(ref)}/changelog")).json["changelog"]
        assert {project["last_activity_at"], group["created_at"], change["occurred_at"]} == {shown}
        assert (await api.get(ref)).json["end_fielding_at"] == "2030-01-09T12:00:00.000Z"


@pytest.mark.parametrize("nulls", [True, False])
async def test_absent_values_are_null_or_left_out(*, nulls: bool) -> None:
    """Optional fields without a value are null or left out, as Behaviour says."""
    async with serving(behaviour=Behaviour(discovery_nulls=nulls)) as api:
        ref = api.sandbox.add_run("scheduled")
        overview = (await api.send("GET", f"{group_path(ref)}/overview")).json
        project = (await api.send("GET", project_path(api.sandbox))).json
        for shown, name in (
            (overview, "median_length_of_interview_seconds"),
            (overview, "target_group_customer_reference_number"),
            (project, "project_customer_reference_number"),
        ):
            assert shown.get(name) is None
            assert (name in shown) is nulls
