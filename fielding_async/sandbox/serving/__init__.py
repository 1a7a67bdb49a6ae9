"""HTTP as values: routes and request forms on the way in, replies and trace headers on the way out.

May be imported by `sandbox` and `sandbox.world`. Imports nothing of the sandbox but its own modules.
"""
