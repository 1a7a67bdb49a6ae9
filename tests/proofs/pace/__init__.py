"""Random worlds of limits for the pace, in virtual time: what it costs beside an oracle, and beside plain obedience."""
