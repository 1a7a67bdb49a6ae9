"""The values of a plan's row, each checked by itself: ids, action and dates, ETag. What is wrong with one, in words.

May be imported by `cli.shared.plan` and the commands. Imports `core`.
"""
