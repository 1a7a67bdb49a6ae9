"""`python -m fielding_async`, and the console script `fielding`."""

import sys

__all__ = ["main"]

_MISSING = "fielding: the command line needs two more packages: pip install 'fielding-async[cli]'\n"


def main() -> int:
    """Run the command line, and return its exit status: 2, with one line of advice, if its libraries are missing."""
    try:
        import click as click
        import rich as rich
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.stderr.write(_MISSING)
        return 2
    from .cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
