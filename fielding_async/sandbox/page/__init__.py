"""The page of a sandbox: one HTML file with its script and its style, which ask for nothing from elsewhere.

May be imported by `sandbox/control`. Imports nothing of the package.
"""
