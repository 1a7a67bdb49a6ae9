"""HTTP as values: routes, request forms, replies, trace headers, timestamps, made-up ids, the log of requests.

May be imported by `sandbox`, `sandbox.catalog` and `sandbox.world`. Imports `core.models`, and nothing else of this
package.
"""
