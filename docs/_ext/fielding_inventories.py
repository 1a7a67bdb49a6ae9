"""Links to the documentation of Python, aiohttp and OpenTelemetry, from the tables in `docs/inventories`.

Sphinx would fetch an inventory of each from the network, which a build must not need. So inventories are made of the
tables; `docs/inventories/renew.py` makes the tables from fetched inventories.
"""

import zlib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

TABLES = Path(__file__).parents[1] / "inventories"
SITES = {
    "python": "https://docs.python.org/3/",
    "aiohttp": "https://docs.aiohttp.org/en/stable/",
    "opentelemetry": "https://opentelemetry-python.readthedocs.io/en/latest/",
}


def inventory(project: str) -> bytes:
    """Return the inventory of a project in Sphinx's format, version 2."""
    lines = [
        f"{name} {role} 1 {uri} -"
        for name, role, uri in (
            line.split() for line in (TABLES / f"{project}.txt").read_text().splitlines() if not line.startswith("#")
        )
    ]
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# The rest is compressed using zlib.\n"
    return head.encode() + zlib.compress("\n".join([*lines, ""]).encode())


def _configure(app: Sphinx, config: Config) -> None:
    folder = Path(app.doctreedir) / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    for project in SITES:
        (folder / f"{project}.inv").write_bytes(inventory(project))
    config["intersphinx_mapping"] = {project: (site, str(folder / f"{project}.inv")) for project, site in SITES.items()}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.setup_extension("sphinx.ext.intersphinx")
    app.connect("config-inited", _configure, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
