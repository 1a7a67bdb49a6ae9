"""The control door: HTTP endpoints under `/control` with which another process controls a sandbox, and its page.

May be imported by `sandbox` and `cli/sandbox`. Imports `core`, `sandbox/serving`, `sandbox/world`, `sandbox/faults` and
`sandbox/page`.
"""
