"""What a conflict or a lost reply means for a write: the memory of ETags, the record of a write, the judgement,
the waits between rounds, and whether a failed row of a batch is itself the cause.

May be imported by `engine`, `handles` and `batch`. Imports `core`, `core.assistant` and `core.wire`.
"""
