"""The `dlcodegen` command: a group that loads a command only when it is used.

The one place that turns errors into exit codes; every command's `--help` loads no heavy library.
"""

import importlib
import os
import signal
import sys
from typing import Any

import click

from dlcodegen_local import __version__
from dlcodegen_local.config import find_paths, prepare_environment, read_settings
from dlcodegen_local.errors import ArtifactError, ConfigError, DlcodegenError
from dlcodegen_local.guard import close_network
from dlcodegen_local.plain_text import plain

_COMMANDS = {
    "plan": "Turn a requirement into a solution plan.",
    "search": "Find samples for a plan or a text.",
    "generate": "Turn a requirement into a project that runs.",
    "verify": "Check a project: static findings, plan compliance, smoke run.",
    "evaluate": "Score predictions of any system; run the paper's tables.",
    "pool": "Take in, list, check and export a team's own samples.",
    "runs": "List, show, resume, repeat, compare and purge runs.",
    "models": "List, describe and compare the planner and the code models.",
    "bundle": "Make, check and install everything for a machine that has nothing.",
    "doctor": "Say what works here, what does not, and what mends it.",
}
_RUNTIME_PACKAGES = {
    "llama_cpp": "llama-cpp-python",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "packaging": "packaging",
    "pathspec": "pathspec",
    "tantivy": "tantivy",
    "tokenizers": "tokenizers",
}
_EPILOG = """\b
Exit codes:
  0    done
  1    done, but with findings (a project failed its checks)
  2    usage or configuration
  3    a model, index or bundle is missing or damaged
  4    planning failed
  5    generation failed
  6    the sandbox cannot start
  130  interrupted

Every flag has a variable (DLCODEGEN_GENERATE_SEED) and a key in dlcodegen.toml ([generate] seed).
Nothing leaves this machine: no command opens a network connection."""


class LazyGroup(click.Group):
    """Import a command's module when the command is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of a command."""
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"dlcodegen_local.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"auto_envvar_prefix": "DLCODEGEN"})
@click.version_option(__version__, prog_name="dlcodegen")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Turn one sentence into a whole deep-learning project, offline.

    Start with: dlcodegen generate "Build a model to classify ..." -o DIR
    """
    settings = read_settings(find_paths().config / "dlcodegen.toml")
    if settings:
        ctx.default_map = _checked_settings(ctx, settings)


def main() -> None:
    """Run the command line and exit with its code."""
    close_network()
    prepare_environment()
    _open_missing_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        outcome = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except ImportError as exc:
        package = _RUNTIME_PACKAGES.get((exc.name or "").partition(".")[0])
        if package is None:
            raise
        _fail(f"package {package} is not installed (pip install dlcodegen)", ArtifactError.exit_code)
    except DlcodegenError as exc:
        _fail(exc.message + (f" ({exc.hint})" if exc.hint else ""), exc.exit_code)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message())
        sys.exit(2)
    except click.ClickException as exc:
        _fail(exc.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; nothing half-written is left", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as exc:
        if exc.errno is None or (exc.filename is None and exc.errno not in (5, 27, 28)):
            raise
        _fail(f"{exc.filename or 'output'}: {exc.strerror}", 2)
    else:
        sys.exit(outcome if isinstance(outcome, int) else 0)


def _interrupt(number: int, frame: object) -> None:
    """End as Ctrl-C does, so that nothing is left behind."""
    raise KeyboardInterrupt


def _open_missing_streams() -> None:
    """Stand in for streams that the caller has closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _fail(message: str, exit_code: int) -> None:
    clear_line = "\r\x1b[K" if sys.stderr.isatty() else ""
    click.echo(f"{clear_line}dlcodegen: {' '.join(plain(message).split())}", err=True)
    sys.exit(exit_code)


def _checked_settings(ctx: click.Context, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the settings under the parameters' own names.

    Raises:
        ConfigError: a table is no command, a key no flag of it, or a value of a wrong type.
    """
    group = ctx.command
    assert isinstance(group, click.Group)
    default_map: dict[str, Any] = {}
    for table, keys in settings.items():
        command = group.get_command(ctx, table)
        if command is None:
            raise ConfigError(
                f"dlcodegen.toml: unknown table: {table}", hint=f"one of {', '.join(_COMMANDS)}"
            )
        default_map[table] = _checked_table(ctx, command, table, keys)
    return default_map


def _checked_table(
    ctx: click.Context, command: click.Command, table: str, keys: dict[str, Any]
) -> dict[str, Any]:
    """Return one table; a group's may hold tables of its commands."""
    flags = {
        option.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        for option in parameter.opts
        if isinstance(parameter, click.Option)
    }
    checked: dict[str, Any] = {}
    unknown = []
    for key, value in keys.items():
        inner = command.get_command(ctx, key) if isinstance(command, click.Group) else None
        parameter = flags.get(key.replace("-", "_"))
        if inner is not None and isinstance(value, dict):
            checked[key] = _checked_table(ctx, inner, f"{table}.{key}", value)
        elif parameter is not None and parameter.name is not None:
            checked[parameter.name] = _checked_value(f"[{table}] {key}", parameter, value)
        else:
            unknown.append(key)
    if unknown:
        raise ConfigError(f"dlcodegen.toml: [{table}] unknown key: {', '.join(sorted(unknown))}")
    return checked


def _checked_value(place: str, parameter: click.Option, value: object) -> bool | str | list[bool | str]:
    """Return a value as the command line would give it; a flag that can be given again takes a list, too."""
    if parameter.multiple:
        values = value if isinstance(value, list) else [value]
        return [_checked_one(place, parameter, item) for item in values]
    return _checked_one(place, parameter, value)


def _checked_one(place: str, parameter: click.Option, value: object) -> bool | str:
    if parameter.is_flag and isinstance(value, bool):
        return value
    if not parameter.is_flag and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    wanted = "true or false" if parameter.is_flag else "a text or a number"
    raise ConfigError(f"dlcodegen.toml: {place}: must be {wanted}, not {value!r}", hint="correct the file")
