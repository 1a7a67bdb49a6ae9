"""What a plan's name may be, and which order leads where."""

import pickle

import pytest

from fielding_async import ConfigurationError
from fielding_async.plans import PlanState, Submitted, Worked
from fielding_async.plans.values.plan_state import Order, next_state
from fielding_async.plans.values.plan_values import check_days, check_plan_name


@pytest.mark.parametrize("name", ["a", "night of 2026-05-17", "x" * 200, "Überprüfung/3"])
def test_a_name_may_be_any_printable_text(name: str) -> None:
    """It is returned as it is."""
    assert check_plan_name("plan", name) == name


@pytest.mark.parametrize("name", ["", "x" * 201, " a", "a ", "a\n", "a\x00b", "a\u200bb"])
def test_a_bad_name_is_refused_with_the_rule(name: str) -> None:
    """The message names the argument and the rule."""
    with pytest.raises(ConfigurationError, match=r"^plan=.*: must have 1 to 200 characters, all printable"):
        check_plan_name("plan", name)


@pytest.mark.parametrize("name", [None, 5, b"plan"])
def test_a_name_of_another_type_is_refused(name: object) -> None:
    """A name is a `str`."""
    with pytest.raises(ConfigurationError, match="name: must be a str, the name of a plan, not"):
        check_plan_name("name", name)


@pytest.mark.parametrize("days", [-1, True, "7", float("nan"), float("inf"), 1e9, None])
def test_days_are_a_number_from_zero(days: object) -> None:
    """Anything else is refused."""
    with pytest.raises(ConfigurationError, match=r"^days=.*: must be a number of at least 0"):
        check_days(days)
    assert check_days(0.5) == 0.5


ALLOWED: dict[tuple[PlanState, Order], PlanState] = {
    ("sealed", "pause"): "paused",
    ("sealed", "resume"): "sealed",
    ("sealed", "cancel"): "cancelled",
    ("sealed", "delete"): "deleting",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "sealed",
    ("paused", "cancel"): "cancelled",
    ("paused", "delete"): "deleting",
    ("cancelled", "cancel"): "cancelled",
    ("cancelled", "delete"): "deleting",
    ("deleting", "delete"): "deleting",
}
STATES: list[PlanState] = ["sealed", "paused", "cancelled", "deleting"]
ORDERS: list[Order] = ["pause", "resume", "cancel", "delete"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("state", STATES)
def test_each_order_leads_where_the_table_says(state: PlanState, order: Order) -> None:
    """What is not in the table is refused, with the reason."""
    is_over = state == "cancelled"
    if (state, order) in ALLOWED:
        assert next_state("p", state, order, is_over=is_over) == ALLOWED[state, order]
    else:
        with pytest.raises(ConfigurationError, match=r"plan 'p' cannot be (paused|resumed|cancelled): it"):
            next_state("p", state, order, is_over=is_over)


@pytest.mark.parametrize("state", ["sealed", "paused"])
def test_a_plan_whose_rows_have_all_ended_can_only_be_deleted(state: PlanState) -> None:
    """To pause, resume or cancel it is refused, as nothing is left to be kept from being sent."""
    for order in ORDERS[:3]:
        with pytest.raises(ConfigurationError, match="all of its rows have ended"):
            next_state("p", state, order, is_over=True)
    assert next_state("p", state, "delete", is_over=True) == "deleting"


def test_values_pickle_under_their_public_names() -> None:
    """They come back equal, by the module that users import."""
    for value in (Submitted(name="a", rows=1, is_new=True), Worked(rows=1, left=2, held=0, wait=0.5)):
        data = pickle.dumps(value)
        assert b"plan_values" not in data
        assert pickle.loads(data) == value
