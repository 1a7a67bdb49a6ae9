"""The operations, and how a method and a path lead to one of them."""

from fielding_async.sandbox.serving.routes import OPERATIONS, NoRoute, Route, find_route
from tests.sandbox.api import Api, project_path, run_path


def test_every_operation_has_a_name_and_a_path() -> None:
    """Every operation has a name, and a method and path, of its own."""
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    assert len({(operation.method, operation.template) for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_operation_is_found_by_its_path() -> None:
    """A path leads to its operation with the ids decoded, or says which methods it has."""
    ids = {"account_id": "1", "project_id": "P", "target_group_id": "T", "fielding_run_id": "a%2Fb", "job_id": "J"}
    for operation in OPERATIONS:
        path = operation.template.format(**ids)
        found = find_route(operation.method, path + "?x=/y")
        assert isinstance(found, Route)
        assert found.operation is operation
        assert found.ids.get("fielding_run_id", "a/b") == "a/b"
        astray = find_route("BREW", path)
        assert isinstance(astray, NoRoute)
        assert operation.method in astray.allowed
    assert find_route("GET", "/v2/x") == NoRoute()


async def test_wrong_methods_are_405_and_unknown_paths_404(api: Api) -> None:
    """A known path says in Allow what it takes; an unknown path is 404; both with an error body."""
    ref = api.sandbox.add_run()
    for method in ("PATCH", "DELETE", "POST", "TRACE", "OPTIONS"):
        got = await api.send(method, run_path(ref))
        assert (got.status, got.headers["Allow"]) == (405, "GET, PUT")
        assert got.json["object"] == "method_not_allowed_error"
    assert (await api.send("HEAD", run_path(ref))).status == 405
    for path in ("/nowhere", f"{run_path(ref)}/", f"{run_path(ref)}/stop", f"{project_path(api.sandbox)}/runs"):
        got = await api.send("GET", path)
        assert (got.status, got.json["object"]) == (404, "not_found_error")
    assert api.sandbox.requests[-1].operation is None
