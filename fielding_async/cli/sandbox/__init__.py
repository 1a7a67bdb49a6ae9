"""`fielding sandbox`. May be imported by `cli.app`. Imports `cli.shared` and `sandbox`."""
