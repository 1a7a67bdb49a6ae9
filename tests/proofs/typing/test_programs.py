"""The programs that four type checkers check use the whole public API."""

import ast
import importlib
from pathlib import Path

from tests.tools.public_api import HOMES, hidden_types, undocumented_attributes

# Classes that a handle, a session or a batch makes: how they are made is no part of the public API.
NOT_MADE_BY_USERS = {"Batch", "FoundRuns", "FoundRunsIterator", "Listing", "ListingIterator", "PerformAll"}
# What one part of the package needs of another. What users pass there has a public name: `Shared`, `FieldingSession`.
SEAMS = {
    *("FieldingSession.__init__(shared=)", "FieldingSession.engine", "PostgresPlans.work(fielding=)", "Shared.join"),
    *("Shared.join(joining=)", "Batch.read_from(reader=)", "Sandbox.__init__(pipeline=)"),
}


def test_the_programs_touch_every_public_name() -> None:
    """Each name that users can import is imported and used in one of the programs of this folder."""
    used: set[str] = set()
    for path in Path(__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in HOMES:
                used |= {f"{node.module}.{alias.name}" for alias in node.names if (alias.asname or alias.name) in names}
    public = {f"{home}.{name}" for home in HOMES for name in importlib.import_module(home).__all__}
    assert public - used == set()


def test_every_type_in_a_public_signature_is_public() -> None:
    """Whoever wraps a method, or keeps what it returns, can write its types with names that can be imported."""
    for kind, places in hidden_types().items():
        for place in places:
            member = place.removeprefix(next(f"{home}." for home in HOMES[::-1] if place.startswith(f"{home}.")))
            cls, _, rest = member.partition(".")
            is_inside = (cls in NOT_MADE_BY_USERS and rest.startswith("__init__")) or rest.startswith("scrub(")
            assert is_inside or member in SEAMS, f"{place} has the type {kind}"


def test_every_public_attribute_has_a_text_of_its_own() -> None:
    """An editor and the reference show what each attribute of a public class means, with its unit."""
    assert undocumented_attributes() == []
