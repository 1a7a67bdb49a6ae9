"""One write from its order to its outcome: turn, requests, conflicts and lost replies.

May be imported by `handles` and `batch`. Imports `core` and `engine`.
"""
