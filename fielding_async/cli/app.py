"""The command `fielding`: its subcommands, and the handling of errors that no command handled."""

import warnings
from collections.abc import Sequence

import click

from fielding_async.__about__ import __version__

from .apply.command import apply
from .batch.command import batch
from .demo.command import demo
from .doctor.command import doctor
from .draft.command import draft
from .journal.command import journal
from .list.command import list_group
from .plans.command import plans
from .run.command import run as run_group
from .sandbox.command import sandbox
from .shared.exit_status import Exit
from .shared.output import drop_stdout, flush_stdout, write_stderr
from .watch.command import watch

__all__ = ["cli", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fielding")
def cli() -> None:
    """Run survey fieldwork on Cint's exchange.

    \b
    Start here, with no account and no network:
      fielding demo                 the SDK at work against a sandbox, in seconds
      fielding sandbox              a sandbox of the exchange, to try the rest
      fielding doctor               are settings, network and token in order?

    \b
    Settings come from the environment:
      FIELDING_TOKEN                the token, or instead of it
      FIELDING_CLIENT_ID, FIELDING_CLIENT_SECRET
      FIELDING_TOKEN_URL            another token endpoint, for these two
      FIELDING_BASE_URL             another server than the exchange
      FIELDING_PLANS_URL            the database of plans
      FIELDING_SHARED_URL           a Redis, for one pace of many workers

    \b
    Exit status:
      0  all done                   2  bad arguments or settings
      1  some failed                3  unknown what was applied, or rows open
      129, 130, 143  ended by SIGHUP, SIGINT, SIGTERM
    """


for _command in (demo, sandbox, doctor, list_group, watch, run_group, batch, draft, apply, journal, plans):
    cli.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (on `sys.argv` if no arguments are given), and return its exit status."""
    try:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("always", category=UserWarning, module=r"fielding_async\.")
                warnings.showwarning = _show_warning
                status = cli.main(arguments, prog_name="fielding", standalone_mode=False)
        except click.ClickException as error:
            status = _usage(error)
        flush_stdout()
    except (KeyboardInterrupt, click.Abort):
        write_stderr("fielding: interrupted by SIGINT")
        return 130
    except OSError as error:
        write_stderr(f"fielding: the output could not be written: {error.strerror or error}")
        drop_stdout()  # from Python 3.14 on, the interpreter would try again, and exit with 120
        return int(Exit.FAILED)
    return int(status) if isinstance(status, int) else 0


def _show_warning(message: Warning | str, *_rest: object, **_more: object) -> None:
    """Write a warning as a message for the user: without a line of source, and whatever PYTHONWARNINGS says."""
    write_stderr(f"fielding: warning: {message}")


def _usage(error: click.ClickException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # newer versions of click only; its message is the help text
        write_stderr(error.format_message())
    else:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "fielding"
        text = error.format_message()
        if isinstance(error, click.NoSuchOption) and error.option_name == "--token":  # other users see arguments
            text = "there is no option --token: set the environment variable FIELDING_TOKEN."
        write_stderr(f"{path}: {text}\nTry '{path} --help'.")
    return int(Exit.USAGE)
