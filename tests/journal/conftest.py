"""What several tests of the journal use."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a batch is written."""
    return tmp_path / "rows.journal"
