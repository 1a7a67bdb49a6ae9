"""The vendor's published documents, where they are at hand: operations, schemas, examples.

They are no part of this project: they are looked for beside it, and what needs them is skipped where they are absent.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import frozen

__all__ = [
    "PATHS",
    "Described",
    "Document",
    "Example",
    "all_operations",
    "examples",
    "formats",
    "needs_document",
    "operations",
    "problems",
]

Document = Literal["fielding", "discovery"]
_FOLDER = Path(__file__).resolve().parents[4] / "shared" / "api"
PATHS: dict[Document, Path] = {
    "fielding": _FOLDER / "fielding-openapi.yml",
    "discovery": _FOLDER / "discovery-openapi.yml",
}

_LACKING = [
    *(f"the vendor's document (../shared/api/{path.name})" for path in PATHS.values() if not path.is_file()),
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
def _document(name: Document) -> dict[str, Any]:
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(PATHS[name].read_text(encoding="utf-8"))
    return loaded


def _resolved(document: dict[str, Any], value: Any) -> Any:
    """Return a part of a document with every reference replaced by what it refers to."""
    if isinstance(value, list):
        return [_resolved(document, entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$ref" not in value:
        return {key: _resolved(document, entry) for key, entry in value.items()}
    target: Any = document
    for step in value["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    beside = {key: _resolved(document, entry) for key, entry in value.items() if key != "$ref"}
    return {**_resolved(document, target), **beside}


@cache
def operations(name: Document = "fielding") -> dict[str, Described]:
    """Every operation of a document, by its id; none where the documents are absent."""
    if _LACKING:
        return {}
    document = _document(name)
    found: dict[str, Described] = {}
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "patch", "delete", "head", "options", "trace"):
            if method not in item:
                continue
            row = item[method]
            parameters = _resolved(document, [*item.get("parameters", []), *row.get("parameters", [])])
            body = _resolved(document, row["requestBody"]) if "requestBody" in row else {}
            responses = {int(status): _resolved(document, reply) for status, reply in row["responses"].items()}
            found[row["operationId"]] = Described(
                operation_id=row["operationId"],
                method=method.upper(),
                path=path,
                parameters=tuple(parameters),
                request=body.get("content", {}).get("application/json", {}).get("schema"),
                responses=responses,
            )
    return found


def all_operations() -> dict[str, Described]:
    """Every operation of all documents, by its id."""
    return {key: row for name in PATHS for key, row in operations(name).items()}


def examples(name: Document = "fielding") -> Iterator[Example]:
    """Every example of a response body in a document.

    Where the success of a GET has none, one is composed of the examples of its fields.
    """
    for row in operations(name).values():
        for status, reply in row.responses.items():
            media = reply.get("content", {}).get("application/json", {})
            found = {"example": media["example"]} if "example" in media else {}
            found |= {key: example["value"] for key, example in media.get("examples", {}).items()}
            if not found and row.method == "GET" and "schema" in media and status < 300:
                found = {"composed": _composed(media["schema"])}
            for key, value in found.items():
                yield Example(row.operation_id, status, key, value)


def _composed(schema: dict[str, Any]) -> Any:
    """Return an example of a schema: its own one, or one made of the examples of its parts."""
    if "example" in schema:
        return schema["example"]
    parts = [_composed(part) for part in schema.get("allOf", ()) if part.keys() - {"nullable"}]
    if parts:
        return {key: value for part in parts for key, value in part.items()} if len(parts) > 1 else parts[0]
    if "oneOf" in schema:
        return _composed(schema["oneOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {key: _composed(part) for key, part in schema.get("properties", {}).items()}
        case "array":
            return [_composed(schema["items"])]
        case other:
            return {"string": "text", "integer": 1, "number": 0.5, "boolean": True}[str(other)]


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
