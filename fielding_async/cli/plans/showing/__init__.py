"""How plans in PostgreSQL are shown: their status, their report, their page.

May be imported by `cli.plans` and its folders. Imports `cli.shared`, `cli.shared.page`, `plans`, `core` and the public
package.
"""
