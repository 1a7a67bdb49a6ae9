"""`fielding doctor`. May be imported by `cli.app` and `cli.apply`. Imports `cli.shared` and the public package."""
