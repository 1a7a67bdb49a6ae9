"""`fielding demo`. May be imported by `cli.app`. Imports `cli.shared`, `sandbox` and the public package."""
