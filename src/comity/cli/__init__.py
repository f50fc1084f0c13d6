"""The `comity` command: parses, calls, prints. Exit codes are those of `comity.errors`."""

from __future__ import annotations

import os
import signal
import sys
import traceback

_INTERRUPTED = 130
"""What typer returns, and shells expect, when somebody presses Ctrl-C."""


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; every way out has its exit code and one clear line."""
    import click

    from comity.cli.app import app
    from comity.cli.interrupt import Interrupted
    from comity.errors import ComityError

    for ending in (signal.SIGTERM, signal.SIGHUP):
        # ended politely, we leave as by Ctrl-C: no party's process and no folder with raw tables stays;
        # under nohup the end of the terminal stays ignored
        if signal.getsignal(ending) != signal.SIG_IGN:
            signal.signal(ending, _interrupt)
    told = ""
    try:
        code = app(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except Interrupted as ended:
        code, told = _INTERRUPTED, f"; {ended}"
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ComityError as error:
        if error.exit_code == 70:
            traceback.print_exc()
        print(f"comity: {error}", file=sys.stderr)
        code = error.exit_code
    except BrokenPipeError:
        # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        print(f"comity: the system refused{place}: {error.strerror or error}", file=sys.stderr)
        code = 3
    except Exception:
        traceback.print_exc()
        print("comity: this is a defect in comity; the lines above say where", file=sys.stderr)
        code = 70
    if code == _INTERRUPTED:
        print(f"comity: interrupted{told}", file=sys.stderr)
    sys.exit(code or 0)
