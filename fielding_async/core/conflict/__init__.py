"""What a conflict or a lost reply means for a write: the memory of ETags, the record of a write, the judgement,
the waits between rounds, and whose trouble the failure of a row of a batch is.

May be imported by `engine` and `batch`. Imports `core` and `core.wire`.
"""
