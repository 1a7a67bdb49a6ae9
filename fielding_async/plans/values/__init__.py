"""Plans as values: what methods return, what a name may be, which states a plan has. Pure.

May be imported by `plans` and its folders, and by `cli`. Imports `core`, and the values of `journal`.
"""
