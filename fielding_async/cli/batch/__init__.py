"""`fielding batch`. May be imported by `cli.app`. Imports `cli.shared` and the public package."""
