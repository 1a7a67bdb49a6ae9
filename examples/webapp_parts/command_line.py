"""The command line of both apps."""

import argparse
import logging
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack

from fielding_async import ConfigurationError, FieldingSession

from .settings import Settings, settings_from

__all__ = ["serve"]


def serve(description: str, run: Callable[[Settings, Callable[[], FieldingSession], socket.socket], None]) -> None:
    """Read the command line, and serve on this machine until SIGINT or SIGTERM.

    `run`: serves an app with these settings and sessions of this kind on a socket, until it is stopped.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("refs", nargs="*", metavar="ACCOUNT/PROJECT/TARGET_GROUP/RUN", help="runs to show")
    parser.add_argument("--demo", action="store_true", help="show made-up runs of a sandbox, which needs no account")
    parser.add_argument("--port", type=int, default=8080, help="where to listen on this machine; 0 takes a free port")
    parser.add_argument("--every", metavar="SECONDS", help="fetch the runs so often (30)")
    parser.add_argument("--drain", metavar="SECONDS", help="time for clicks in progress when the app is stopped (10)")
    parser.add_argument("--allow-host", action="append", metavar="NAME", help="serve under this name as well")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        settings = settings_from(os.environ, options)
    except ValueError as error:
        parser.error(str(error))
    if bool(settings.refs) is options.demo:
        parser.error("name the runs to show, or give --demo")
    with ExitStack() as stack, socket.create_server(("127.0.0.1", options.port)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        session: Callable[[], FieldingSession] = FieldingSession
        if options.demo:
            from webapp_demo import demo

            settings, session = stack.enter_context(demo(url, settings))
        try:
            session()  # it opens nothing yet; a setting that is missing is reported here, without a traceback
        except ConfigurationError as error:
            parser.error(str(error))
        print(f"{url} (Ctrl-C stops)", flush=True)
        run(settings, session, listening)
