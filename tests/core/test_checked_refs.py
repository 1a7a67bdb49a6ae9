"""A ref that was checked is not checked again; one that only equals it is."""

from enum import StrEnum
from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_ref
from fielding_async.core.models import RunRef

_GROUP = "2" * 26


class _Ids(StrEnum):
    RUN = "run-of-checked-refs"


@pytest.mark.parametrize("account_id", [True, 1.0])
def test_an_account_id_of_another_type_is_refused_after_an_equal_one(account_id: Any) -> None:
    """Although the two refs are equal, and have one hash."""
    good = RunRef(1, _GROUP, _GROUP, _Ids.RUN.value)
    assert check_ref(good) == good
    bad = RunRef(account_id, _GROUP, _GROUP, _Ids.RUN.value)
    assert bad == good
    with pytest.raises(ConfigurationError, match="account_id="):
        check_ref(bad)


def test_a_ref_with_a_member_of_an_enumeration_becomes_a_plain_one() -> None:
    """Whichever of the equal refs comes first."""
    for _ in range(2):
        checked = check_ref(RunRef(2, _GROUP, _GROUP, _Ids.RUN))
        assert type(checked.fielding_run_id) is str
        assert type(check_ref(RunRef(2, _GROUP, _GROUP, _Ids.RUN.value)).fielding_run_id) is str


@pytest.mark.parametrize("run_id", [["run"], {}, None])
def test_an_id_without_a_hash_is_named(run_id: Any) -> None:
    """As any other that is no text."""
    with pytest.raises(ConfigurationError, match="fielding_run_id="):
        check_ref(RunRef(3, _GROUP, _GROUP, run_id))
