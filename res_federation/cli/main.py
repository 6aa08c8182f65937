"""The command tree, and the one place where a failure becomes a line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from importlib import import_module
from types import FrameType

import typer

from res_federation.cli.process import follow_parent
from res_federation.errors import FederationError

TRACE_VARIABLE = "RESFED_TRACE"

# Where each command lives.  Only the module of the command that is called is imported, so that
# `resfed queue` does not pay for what `resfed broker serve` needs.
COMMANDS: dict[str, str] = {
    "up": "up",
    "demo": "demo",
    "broker": "serve",
    "agent": "serve",
    "site": "administration",
    "submit": "submit",
    "queue": "jobs",
    "sites": "administration",
    "show": "jobs",
    "explain": "explain",
    "cancel": "jobs",
    "share": "share",
    "wait": "jobs",
    "output": "jobs",
    "script": "script",
    "translate": "translate",
    "trace": "trace",
    "replay": "replay",
    "compare": "compare",
    "sweep": "sweep",
    "table": "table",
    "report": "report",
    "audit": "audit",
    "login": "people",
    "logout": "people",
    "whoami": "people",
    "admin": "admin",
    "pool": "accounts",
    "project": "accounts",
    "exchange": "accounts",
    "grant": "grants",
    "ledger": "ledger",
    "bench": "bench",
    "lab": "lab",
}
# typer keeps the bases of its own exceptions private; BadParameter is public and leads to them.
_UsageError, _ClickException = typer.BadParameter.__mro__[1:3]


def application(*names: str) -> typer.Typer:
    """Return the command tree with the commands *names*; with none, with all of them."""
    app = typer.Typer(
        name="resfed",
        help="One endpoint before the supercomputers of the Spanish Supercomputing Network (RES).",
        epilog="Example: resfed submit -t 30 --gres=gpu:h100:1 train.sbatch",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        # A single command would otherwise become the application itself.
        callback=lambda: None,
    )
    modules = dict.fromkeys(COMMANDS[name] for name in names or COMMANDS)
    for module in modules:
        import_module(f"res_federation.cli.{module}").register(app)
    return app


def run() -> None:
    """Run the command of this process's arguments and leave with its exit code."""
    follow_parent()
    # gRPC's core tells every failed handshake on stderr, in words of its own; ours say it once
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    signal.signal(signal.SIGTERM, _leave)  # as an exception, so that what was begun is cleared up
    code = execute(sys.argv[1:])
    _flush()
    sys.exit(code)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


def execute(arguments: list[str]) -> int:
    """Run one command; return its exit code. Nothing is raised: failures become one line."""
    # The shell asks for completions through variables, and may ask for any command.
    known = arguments and arguments[0] in COMMANDS and "_RESFED_COMPLETE" not in os.environ
    try:
        app = application(*arguments[:1]) if known else application()
        result = app(args=arguments, prog_name="resfed", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return 0
    except BaseException as error:  # noqa: BLE001 - the last door: no traceback leaves by it
        return _report(error)
    if result == 130:
        _say("interrupted")  # typer makes this of Ctrl-C
    return result if isinstance(result, int) else 0


def _report(error: BaseException) -> int:
    while isinstance(error, BaseExceptionGroup):  # of a task group: the first is the cause
        error = error.exceptions[0]
    if isinstance(error, SystemExit):
        if isinstance(error.__context__, BrokenPipeError):
            return 0  # the reader has gone away; typer made this of it
        return error.code if isinstance(error.code, int) else 1
    if os.environ.get(TRACE_VARIABLE):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        _say("interrupted")
        return 130
    if isinstance(error, FederationError):
        _say(str(error))
        return error.exit_code
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)  # noqa: T201 - a group without a command: its help
        return 2
    if isinstance(error, _ClickException):
        _say(_usage(error))
        return 2
    if isinstance(error, OSError) and error.strerror:
        where = f" '{error.filename}'" if error.filename else ""
        _say(f"{error.strerror}{where}")
        return 1
    _say(f"{type(error).__name__}: {error} (a fault of resfed: {TRACE_VARIABLE}=1 shows where)")
    return 1


def _usage(error: BaseException) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "resfed"
    return f"{message.rstrip('.')} ('{command} --help' shows how)"


def _say(line: str) -> None:
    one = " ".join(line.split("\n")).strip()
    try:
        sys.stdout.flush()
        print(f"resfed: {one}", file=sys.stderr)  # noqa: T201 - the line that people read
    except OSError:
        return


def _flush() -> None:
    """Flush what is left; a reader who has gone away is no failure."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    run()
