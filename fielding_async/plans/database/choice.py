"""Which driver is used, and what is said if it is not installed."""

from importlib import import_module
from importlib.util import find_spec
from typing import Literal

from fielding_async.core.errors import ConfigurationError, briefly

from .address import Address
from .driver import Driver

__all__ = ["DriverName", "choose_driver", "open_driver"]

DriverName = Literal["asyncpg", "psycopg"]

_DRIVERS: tuple[DriverName, ...] = ("asyncpg", "psycopg")  # of two that are installed, the first


def choose_driver(driver: object) -> DriverName:
    """Return the driver that `driver=` names, or else one that is installed. Raises `ConfigurationError`."""
    if driver is None:
        for name in _DRIVERS:
            if find_spec(name) is not None:
                return name
        raise ConfigurationError(
            "plans need a driver for PostgreSQL: pip install 'fielding-async[asyncpg]' (or 'fielding-async[psycopg]')"
        )
    for name in _DRIVERS:
        if driver == name:
            if find_spec(name) is None:
                raise ConfigurationError(f"driver=\"{name}\": is not installed: pip install 'fielding-async[{name}]'")
            return name
    raise ConfigurationError(f'driver={briefly(driver)}: must be "asyncpg", "psycopg" or None')


def open_driver(name: DriverName, address: Address) -> Driver:
    """Return the driver. Raises `ConfigurationError` if it cannot be loaded, as psycopg without libpq."""
    try:
        module = import_module(f"{__package__}.{name}_driver")
    except ImportError as error:
        hint = "; with it comes libpq: pip install 'psycopg[binary]'" if name == "psycopg" else ""
        raise ConfigurationError(
            f"driver=\"{name}\": cannot be loaded ({error}): pip install 'fielding-async[{name}]'{hint}"
        ) from None
    made: Driver = (module.AsyncpgDriver if name == "asyncpg" else module.PsycopgDriver)(address)
    return made
