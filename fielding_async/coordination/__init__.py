"""Sessions that share one pace, one pause and hints of runs through Redis or Valkey.

Users import `Shared` from here. May be imported by `cli`. Imports `core`, `telemetry` (log lines) and the seams of
`engine`; the one importer of redis.
"""

from .shared import Shared

__all__ = ["Shared"]
