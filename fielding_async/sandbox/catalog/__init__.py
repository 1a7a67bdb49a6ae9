"""Accounts, projects and target groups: what is stored of them, their statistics, change logs, and lists in pages.

May be imported by `sandbox` and `sandbox.world`. Imports `sandbox.serving`, `core.models` and `core.errors`.
"""
