"""Options and inputs that several commands share."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dlcodegen_local.admission import model_roots
from dlcodegen_local.artifacts import find_model
from dlcodegen_local.config import MAX_REQUIREMENT_BYTES, find_paths
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import find_unplain, plain
from dlcodegen_local.plan.categories import CATEGORIES, canonical_category
from dlcodegen_local.plan.reading import check_spelling, read_plan
from dlcodegen_local.plan.schema import Plan, has_canonical_keys

_MAX_PLAN_BYTES = 1_000_000
_RESERVED_IDS = ("results.jsonl",)

# A parameter is named as its flag, so that its variable and its key in the settings are named so, too.
json_flag = click.option("--json", is_flag=True, help="Print the result as JSON.")
batch_file = click.option(
    "--batch",
    type=click.Path(path_type=Path),
    help="Read requirements from a JSON-lines file: id, requirement, dataset_attributes.",
)
dataset_text = click.option("--dataset", default="", help="What is known of the data: a text or JSON.")


class ModelPath(click.ParamType[Path]):
    """Take a model by its path, or by the name of a bundled or imported one; a path that exists wins."""

    name = "path"

    def __init__(self, kind: str) -> None:
        """Take a `planner` (its folder) or a `code-model` (its GGUF file)."""
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; a name that means nothing is left to whoever opens it."""
        path = Path(value)
        if isinstance(value, Path) or path.exists():
            return path
        manifest = find_model(value, model_roots(find_paths()))
        if manifest is None:
            return path
        if manifest.kind != self._kind:
            raise ConfigError(
                f"{value} is a {manifest.kind}, not a {self._kind}", hint="see: dlcodegen models list"
            )
        return manifest.folder if self._kind == "planner" else manifest.path_of(".gguf")


planner_folder = click.option(
    "--planner", type=ModelPath("planner"), help="A planner's name or folder.  [default: the bundled one]"
)
code_model_file = click.option(
    "--model",
    type=ModelPath("code-model"),
    help="A model's name, or a GGUF file.  [default: the bundled starter]",
)
num_beams = click.option(
    "--beams", type=click.IntRange(1, 16), default=3, show_default=True, help="Beams of the planner's search."
)
pool_names = click.option(
    "--pool",
    type=click.Path(),
    multiple=True,
    help="Samples to search: bundled, team, or a folder; can be given again.  [default: team and bundled]",
)


def _check_unsafe_run(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """Take --unsafe-run from the command line alone: a forgotten setting may not open the sandbox.

    Whether the team's policy allows it is asked where a sandbox would be chosen (`engines`).
    """
    typed = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    if value and not typed:
        raise ConfigError("--unsafe-run counts only where it is typed", hint="leave it out of the settings")
    return value


unsafe_run = click.option(
    "--unsafe-run",
    is_flag=True,
    callback=_check_unsafe_run,
    help="Where no sandbox works: run the project all the same, with all that you may do.",
)


@dataclass(frozen=True)
class BatchItem:
    """Hold one line of a batch file."""

    id: str
    requirement: str
    dataset: str


def print_json(value: object) -> None:
    """Print one JSON document to stdout."""
    click.echo(json_text(value, indent=2))


def print_note(text: str) -> None:
    """Print one line for a person to stderr."""
    click.echo(plain(text), err=True)


def json_text(value: object, indent: int | None = None) -> str:
    """Return JSON text that UTF-8 can always hold: half characters stay JSON escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refuse_beside_batch(*names: str) -> None:
    """Refuse inputs of the running command that --batch would leave unread.

    Raises:
        ConfigError: names those that stand on the command line or in a variable.
    """
    context = click.get_current_context()
    given = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        explicit = source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
        if parameter.name in names and explicit and context.params[parameter.name]:
            is_option = isinstance(parameter, click.Option)
            given.append(f"--{parameter.name}" if is_option else parameter.human_readable_name)
    if given:
        raise ConfigError(
            f"--batch takes its requirements from the file alone, not {', '.join(given)}", hint="leave it out"
        )


def read_requirement(argument: str | None) -> str:
    """Return the requirement given as an argument, or read from stdin for `-`.

    Raises:
        ConfigError: it is missing, empty, too long, or no text.
    """
    if argument is None:
        raise ConfigError(
            "no requirement is given", hint='for example: dlcodegen plan "Classify images of birds"'
        )
    if argument == "-":
        argument = sys.stdin.buffer.read(MAX_REQUIREMENT_BYTES + 1).decode("utf-8", "surrogateescape")
    return check_text(argument, "the requirement")


def check_text(text: str, what: str) -> str:
    """Return a text that can be a requirement, its white space made single.

    Raises:
        ConfigError: it is empty, too long, or no plain text.
    """
    if len(text.encode("utf-8", "replace")) > MAX_REQUIREMENT_BYTES:
        raise ConfigError(
            f"{what} is longer than {MAX_REQUIREMENT_BYTES:,} bytes", hint="state the task in a few sentences"
        )
    if (found := find_unplain(text)) is not None:
        raise ConfigError(f"{what} is not plain UTF-8 text: it holds {found}", hint="give plain text")
    text = " ".join(text.split())
    if not any(char.isalnum() for char in text):
        raise ConfigError(f"{what} is empty", hint="say in a sentence what the model is to do")
    return text


def check_dataset(dataset: object) -> str:
    """Return dataset attributes (a text, or an object that is written as JSON) as one text.

    Raises:
        ConfigError: they are too long or no text.
    """
    try:
        text = dataset if isinstance(dataset, str) else json.dumps(dataset, ensure_ascii=False)
    except RecursionError as exc:
        raise ConfigError("the dataset text is nested too deep", hint="give plain text") from exc
    if not text.strip() or text == "null":
        return ""
    return check_text(text, "the dataset text")


def read_batch(path: Path) -> Iterator[BatchItem]:
    """Read a batch file whole, then yield its items.

    Raises:
        ConfigError: names the line that is not as it must be, or an id that stands twice.
    """
    items: dict[str, BatchItem] = {}
    for number, row in enumerate(_json_lines(path), start=1):
        where = f"{path}, line {number}"
        if not isinstance(row, dict) or not isinstance(row.get("requirement"), str):
            raise ConfigError(f"{where}: must be an object with id and requirement")
        item_id = str(row.get("id", number))
        if item_id in items:
            raise ConfigError(f"{where}: id {item_id!r} stands twice")
        if item_id.casefold() in _RESERVED_IDS:
            raise ConfigError(f"{where}: id {item_id!r} is reserved", hint="name the item otherwise")
        if not re.sub("[-_.]", "", item_id).isalnum() or item_id.startswith("."):
            raise ConfigError(f"{where}: id {item_id!r} must be letters, digits, '-', '_' and '.'")
        try:
            requirement = check_text(row["requirement"], "the requirement")
            dataset = check_dataset(row.get("dataset_attributes") or "")
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc.message}", hint=exc.hint) from exc
        items[item_id] = BatchItem(item_id, requirement, dataset)
    if not items:
        raise ConfigError(f"{path} holds no requirement")
    yield from items.values()


def read_category(text: str | None) -> str | None:
    """Return the category that a spelling means, None for none.

    Raises:
        ConfigError: it means no category; names them all.
    """
    if text is None:
        return None
    if (category := canonical_category(text)) is None:
        raise ConfigError(f"unknown category: {text}", hint=f"one of {', '.join(CATEGORIES)}")
    return category


def read_plan_file(path: Path) -> Plan:
    """Read a plan file: canonical strictly, the published dialects leniently.

    Raises:
        ConfigError: names the field and the reason.
    """
    return plan_from_value(_read_plan_json(path))


def read_plan_to_follow(path: Path, *, canonical: bool = False) -> Plan:
    """Read a plan file that a project is to be made from: its list of layers may not be empty.

    `canonical` refuses every other dialect and every missing key, too.

    Raises:
        ConfigError: names the field and the reason.
    """
    value = _read_plan_json(path)
    plan = Plan.from_dict(value) if canonical else plan_from_value(value)
    blank = next((place for place, layer in enumerate(plan.layers) if not layer.strip()), None)
    if blank is not None:
        raise ConfigError(f"plan: Layers[{blank}]: is empty", hint="name a layer or remove the line")
    if has_canonical_keys(value) and not plan.layers:
        raise ConfigError("plan: Layers: is empty", hint="name at least one layer")
    return plan


def _read_plan_json(path: Path) -> object:
    try:
        with open(path, "rb") as file:
            payload = file.read(_MAX_PLAN_BYTES + 1)
        text = payload.decode("utf-8-sig")
        if len(payload) > _MAX_PLAN_BYTES:
            raise ConfigError(f"{path} is too large for a plan", hint="a plan is one JSON object")
        if not text.strip():
            raise ConfigError(f"{path} is empty", hint="make a plan with: dlcodegen plan")
        value: object = json.loads(text, object_pairs_hook=_keys_once)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc
    except json.JSONDecodeError as exc:
        where = f"{path}, line {exc.lineno}, column {exc.colno}"
        raise ConfigError(f"{where}: not JSON: {exc.msg}", hint="correct the plan there") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not a JSON plan: {exc}", hint="make one with: dlcodegen plan") from exc
    return value


def _keys_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table: dict[str, object] = {}
    for key, value in pairs:
        if key in table:
            raise ConfigError(f"plan: {key!r} stands twice in one object", hint="leave one of the two")
        table[key] = value
    return table


def plan_from_value(value: object) -> Plan:
    """Return a plan given as a JSON value: strictly where it has a canonical plan's keys, else leniently.

    Raises:
        ConfigError: names the field and the reason.
    """
    if has_canonical_keys(value):
        return Plan.from_dict(value)
    plan = read_plan(value)
    check_spelling(value)
    return plan


def _json_lines(path: Path) -> Iterator[Any]:
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError) as exc:
                        raise ConfigError(f"{path}, line {number}: is not JSON") from exc
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text") from exc
