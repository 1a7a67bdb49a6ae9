"""The vendor's published document, where it is at hand: operations, schemas, examples.

It is no part of this project: it is looked for beside it, and what needs it is skipped where it is absent.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

__all__ = ["PATH", "Described", "Example", "examples", "formats", "needs_document", "operations", "problems"]

PATH = Path(__file__).resolve().parents[4] / "shared" / "api" / "fielding-openapi.yml"

_LACKING = [
    *([] if PATH.is_file() else ["the vendor's document (../shared/api/fielding-openapi.yml)"]),
    *(name for name in ("yaml", "jsonschema") if find_spec(name) is None),
]

needs_document = pytest.mark.skipif(bool(_LACKING), reason=f"not at hand: {', '.join(_LACKING)}")

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@frozen
class Described:
    """One operation as the document describes it, its references resolved."""

    operation_id: str
    method: str
    path: str
    parameters: tuple[dict[str, Any], ...]
    request: dict[str, Any] | None
    responses: dict[int, dict[str, Any]]

    @property
    def success(self) -> tuple[int, ...]:
        """The success statuses."""
        return tuple(status for status in self.responses if status < 300)

    def names(self, place: str) -> set[str]:
        """The names of the required parameters in a place (`"path"`, `"header"`)."""
        return {entry["name"] for entry in self.parameters if entry["in"] == place and entry.get("required")}

    def schema(self, status: int) -> dict[str, Any] | None:
        """The schema of the JSON body of a status; `None` if it has no body."""
        content = self.responses[status].get("content")
        return content["application/json"]["schema"] if content else None

    def headers(self, status: int) -> set[str]:
        """The names, in lower case, of the required headers of a status."""
        named = self.responses[status].get("headers", {})
        return {name.lower() for name, header in named.items() if header.get("required")}


@frozen
class Example:
    """One example of a response body, with where it stands."""

    operation_id: str
    status: int
    name: str
    value: Any

    def __str__(self) -> str:
        return f"{self.operation_id}-{self.status}-{self.name}"


@cache
def _document() -> dict[str, Any]:
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return loaded


def _resolved(value: Any) -> Any:
    """Return a part of the document with every reference replaced by what it refers to."""
    if isinstance(value, list):
        return [_resolved(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$ref" not in value:
        return {key: _resolved(entry) for key, entry in value.items()}
    target: Any = _document()
    for step in value["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**_resolved(target), **{key: _resolved(entry) for key, entry in value.items() if key != "$ref"}}


@cache
def operations() -> dict[str, Described]:
    """Every operation of the document, by its id; none where the document is absent."""
    if _LACKING:
        return {}
    found: dict[str, Described] = {}
    for path, item in _document()["paths"].items():
        for method in ("get", "put", "post", "patch", "delete", "head", "options", "trace"):
            if method not in item:
                continue
            row = item[method]
            parameters = _resolved([*item.get("parameters", []), *row.get("parameters", [])])
            body = _resolved(row["requestBody"]) if "requestBody" in row else {}
            responses = {int(status): _resolved(reply) for status, reply in row["responses"].items()}
            found[row["operationId"]] = Described(
                operation_id=row["operationId"],
                method=method.upper(),
                path=path,
                parameters=tuple(parameters),
                request=body.get("content", {}).get("application/json", {}).get("schema"),
                responses=responses,
            )
    return found


def examples() -> Iterator[Example]:
    """Every example of a response body in the document."""
    for row in operations().values():
        for status, reply in row.responses.items():
            media = reply.get("content", {}).get("application/json", {})
            if "example" in media:
                yield Example(row.operation_id, status, "example", media["example"])
            for name, example in media.get("examples", {}).items():
                yield Example(row.operation_id, status, name, example["value"])


def formats() -> Any:
    """Return a checker of formats as the API means them: timestamps have three fractional digits and a `Z`."""
    import uuid

    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())

    @checker.checks("date-time")
    def is_timestamp(value: object) -> bool:
        return not isinstance(value, str) or TIMESTAMP.fullmatch(value) is not None

    @checker.checks("uuid", raises=ValueError)
    def is_uuid(value: object) -> bool:
        return not isinstance(value, str) or str(uuid.UUID(value)) == value.lower()

    return checker


def _nullable(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 in the terms of JSON Schema."""
    if isinstance(schema, list):
        return [_nullable(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(entry) for key, entry in schema.items()}
    if plain.pop("nullable", False):
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """Return what is wrong with a value by a schema of the document; an empty list if nothing is."""
    from jsonschema import Draft4Validator

    validator = Draft4Validator(_nullable(schema), format_checker=formats())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
