"""`python -m fielding_async`, and the console script `fielding`."""

import sys
from importlib.util import find_spec

from fielding_async.__about__ import __version__

__all__ = ["main"]

_MISSING = "fielding: the command line needs two more packages: pip install 'fielding-async[cli]'\n"


def main() -> int:
    """Run the command line, and return its exit status: 2, with one line of advice, if its libraries are missing."""
    if any(find_spec(name) is None for name in ("click", "rich")):
        if sys.argv[1:] == ["--version"]:
            sys.stdout.write(f"fielding, version {__version__}\n")
            return 0
        sys.stderr.write(_MISSING)
        return 2
    try:
        from .cli.app import run
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
