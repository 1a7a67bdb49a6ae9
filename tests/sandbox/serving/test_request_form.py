"""Requests of the wrong form: 400, with everything that is wrong named."""

import pytest

from tests.sandbox.api import Api, run_path

SCHEDULE = {"start_fielding_at": "2199-01-01T00:00:00.000Z", "end_fielding_at": "2199-01-02T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        ("2199-01-02T00:00:00.000Z", "2199-01-01T00:00:00.000Z", ["end_fielding_at"]),
        ("2199-01-02T00:00:00.000Z", "2199-01-02T00:00:00.000Z", ["end_fielding_at"]),
        ("2199-01-01T00:00:00.000", "2199-01-02T00:00:00.000Z", ["start_fielding_at"]),
        ("2199-01-01T00:00:00.000+02:00", "2199-01-02T00:00:00.000Z", ["start_fielding_at"]),
        ("2199-02-30T00:00:00.000Z", "tomorrow", ["start_fielding_at", "end_fielding_at"]),
        (None, 12, ["start_fielding_at", "end_fielding_at"]),
    ],
)
async def test_bad_dates_are_400(api: Api, start: object, end: object, names: list[str]) -> None:
    """Dates that are naive, elsewhere than in UTC, no dates or in the wrong order are 400, each one named."""
    got = await api.update(api.sandbox.add_run(), start, end)
    assert (got.status, got.json["object"]) == (400, "bad_request_error")
    assert [param["name"] for param in got.json["invalid_params"]] == names


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"1" * 5000, b"{}"])
async def test_a_malformed_body_is_400_before_412(api: Api, body: bytes) -> None:
    """What is no JSON object with both dates is 400, even under a stale ETag."""
    ref = api.sandbox.add_run()
    got = await api.send("PUT", run_path(ref), body=body, If_Match='W/"77"')
    assert got.status == 400


async def test_a_body_of_another_type_is_400(api: Api) -> None:
    """A body that is not declared as JSON is 400; so is a body where none is taken."""
    ref = api.sandbox.add_run("live")
    got = await api.update(ref, "2199-01-01T00:00:00Z", "2199-01-02T00:00:00Z", Content_Type="text/plain")
    assert got.status == 400
    assert (await api.send("POST", f"{run_path(ref)}/pause", body=[1], If_Match='W/"1"')).status == 400
    assert (await api.send("POST", f"{run_path(ref)}/pause", body={}, If_Match='W/"1"')).status == 204


async def test_missing_headers_are_400_and_named(api: Api) -> None:
    """If-Match, Cint-API-Version and Idempotency-Key are demanded by name."""
    ref = api.sandbox.add_run("live")
    missing = [
        ("If-Match", await api.act(ref, "pause", If_Match=None)),
        ("If-Match", await api.act(ref, "pause", If_Match="")),
        ("Cint-API-Version", await api.get(ref, Cint_API_Version=None)),
        ("Cint-API-Version", await api.get(ref, Cint_API_Version="18.12.2025")),
        ("Cint-API-Version", await api.get(ref, Cint_API_Version="2025-13-40")),
        ("Idempotency-Key", await api.bulk("pause", ref.target_group_id, key=None)),
        ("Idempotency-Key", await api.bulk("pause", ref.target_group_id, key="k" * 256)),
    ]
    for name, got in missing:
        assert got.status == 400
        assert [param["name"] for param in got.json["invalid_params"]] == [name]
    assert api.sandbox.history == ()
    assert api.sandbox.jobs == ()


@pytest.mark.parametrize("account", ["x", "1.0", "+1", "007", "2147483648", "-2147483649", "9" * 5000])
async def test_ids_of_the_wrong_form_are_400(api: Api, account: str) -> None:
    """An account id beyond int32 or not a plain integer, and ids that are not 26 characters, are 400."""
    got = await api.send("GET", f"/demand/accounts/{account}/projects/p/target-groups/t/fielding-runs")
    assert got.status == 400
    assert [param["name"] for param in got.json["invalid_params"]] == [
        "account_id",
        "project_id",
        "target_group_id",
    ]


async def test_schedule_with_dates_in_the_wrong_order_is_400(api: Api) -> None:
    """A schedule that ends before it starts makes no job."""
    body = {
        "start_fielding_at": SCHEDULE["end_fielding_at"],
        "end_fielding_at": SCHEDULE["start_fielding_at"],
    }
    assert (await api.draft("schedule-from-draft", api.sandbox.add_draft(), body)).status == 400
    assert api.sandbox.jobs == ()
