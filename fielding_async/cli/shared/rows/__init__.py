"""Rows on record, of a journal or of a plan in PostgreSQL: which are shown, and how; and the plan that takes them back.

May be imported by `cli.journal` and `cli.plans`. Imports `cli.shared`, `cli.shared.arguments`, `cli.shared.plan`,
`journal`, `core` and the public package.
"""
