"""Makes the tables of other projects' names beside this file: `python docs/inventories/renew.py python PATH`.

`PATH` is an inventory (`objects.inv`) of that project's documentation, as a file. The build reads the tables, so that
it needs no network. What is below the line `# by hand` is kept: names that the inventory does not have, and names that
type hints take from other modules.
"""

import sys
from pathlib import Path

from sphinx.util.inventory import InventoryFile

HERE = Path(__file__).parent
ROLES = {"py:class", "py:exception", "py:function", "py:data", "py:module"}
MODULES = {
    "python": {
        *(
            "",
            "asyncio",
            "collections.abc",
            "contextlib",
            "contextvars",
            "datetime",
            "enum",
            "logging",
            "os",
            "pathlib",
        ),
        *("random", "ssl", "types", "typing", "uuid"),
    },
    "aiohttp": {"aiohttp"},
}


def main(project: str, path: str) -> None:
    """Write the table of a project."""
    table = HERE / f"{project}.txt"
    kept = table.read_text(encoding="utf-8").partition("# by hand\n")[2] if table.exists() else ""
    found = InventoryFile.loads(Path(path).read_bytes(), uri="")
    lines = {
        f"{name} {role} {item.uri}".replace(f"#{name}", "#$")
        for role in ROLES & set(found.data)
        for name, item in found.data[role].items()
        if (name if role == "py:module" else name.rpartition(".")[0]) in MODULES[project]
    }
    table.write_text("\n".join([*sorted(lines), f"# by hand\n{kept}"]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
