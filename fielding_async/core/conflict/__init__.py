"""What a conflict or a lost reply means for a write: the memory of ETags, the record of a write, the judgement,
the waits between rounds.

May be imported by `engine` and `batch`. Imports `core` and `core.wire`.
"""
