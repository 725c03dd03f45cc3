"""From a family's program to the source of one project in the section contract.

How a family plugs in: `compiler.FAMILIES` maps a category to a function `compile_x(plan) -> Program` in
`dlcodegen_local/compiler/x.py`. A `Program` holds what only the family knows: title, data format, its own
settings and the code of the sections data, model, train, evaluate and predict. `build_source` adds the
header, the imports that the code really uses (`IMPORTS`), Config with the plan's hyperparameters,
`parse_config` and the main section.

What a family can use:
- `chain.read_items(plan.layers)`, `fitting.fit_layers(items, input_shape, input_code, head, symbols)` and
  `rendering.render_network(chain)`: the planned layers as a valid network;
- `objective.read_objective(plan, targets)`: optimizer, loss and metrics as code, and the form of the labels;
- `reading.py`: shapes, counts and preprocessing out of the plan's prose;
- `templates.fill(text, **values)`: `$name` placeholders in code templates.
"""

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from dlcodegen_local.compiler.curves import with_curves
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import Sections

IMPORTS = {
    "argparse": "import argparse",
    "collections": "import collections",
    "csv": "import csv",
    "dataclasses": "import dataclasses",
    "itertools": "import itertools",
    "json": "import json",
    "math": "import math",
    "random": "import random",
    "re": "import re",
    "string": "import string",
    "wave": "import wave",
    "Path": "from pathlib import Path",
    "keras": "import keras",
    "np": "import numpy as np",
    "tf": "import tensorflow as tf",
    "initializers": "initializers",
    "layers": "layers",
    "ops": "ops",
    "regularizers": "regularizers",
}
_STANDARD = (
    *("argparse", "collections", "csv", "dataclasses", "itertools", "json", "math", "random", "re", "string"),
    *("wave", "Path"),
)
_FROM_KERAS = ("initializers", "layers", "ops", "regularizers")
DEFAULT_LEARNING_RATE = 0.001
DEFAULT_BATCH_SIZE = 32
DEFAULT_EPOCHS = 10

_PARSE_CONFIG = '''
def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description=$description)
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))
'''
_MAIN = """
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
"""


@dataclass(frozen=True)
class Setting:
    """Declare one field of Config; its type is its default's (`str | None` for None)."""

    name: str
    default: object
    comment: str = ""


@dataclass(frozen=True)
class Program:
    """Hold what a family makes of a plan.

    `summary` says what the project does, `data_format` what `data_dir` holds. `optimizer`, `loss` and
    `metric` are the defaults in Config. Section bodies need no imports. `deviations` says what differs from
    the plan.
    """

    title: str
    summary: str
    data_format: str
    data: str
    model: str
    train: str
    evaluate: str
    predict: str
    optimizer: str
    loss: str
    metric: str
    settings: Sequence[Setting] = ()
    deviations: Sequence[str] = field(default_factory=tuple)


def build_source(plan: Plan, program: Program) -> str:
    """Return the whole project as one script."""
    bodies = {
        "config": _config(plan, program),
        "data": program.data,
        "model": program.model,
        "train": with_curves(program.train),
        "evaluate": program.evaluate,
        "predict": program.predict,
        "main": _MAIN,
    }
    bodies = {name: body.strip() for name, body in bodies.items()}
    bodies["imports"] = _imports("\n".join(bodies.values()))
    return Sections(_header(program), bodies).to_source()


def _header(program: Program) -> str:
    parts = [_sentence(program.title), textwrap.fill(_plain(program.summary), 100)]
    parts.append(textwrap.fill("Data: " + _plain(program.data_format), 100))
    if program.deviations:
        unique = list(dict.fromkeys(_plain(text) for text in program.deviations))
        lines = [textwrap.fill(f"- {text}", 100, subsequent_indent="  ") for text in unique]
        parts.append("Deviations from the plan:\n" + "\n".join(lines))
    return '# SPDX-License-Identifier: Apache-2.0\n"""' + "\n\n".join(parts) + '\n"""'


def _plain(text: str) -> str:
    """Make a text safe inside a docstring: no escape, no end of it, no marker of a section."""
    line = " ".join(text.replace("\\", "/").split())
    return re.sub("# %+", "# ", line.replace('"""', "'''"))


def _sentence(text: str) -> str:
    text = _plain(text)[:100].rstrip(".")
    return text + "."


def _config(plan: Plan, program: Program) -> str:
    hyper = [
        Setting("data_dir", "data"),
        Setting("output_dir", "outputs"),
        Setting("synthetic", False),
        Setting("synthetic_samples", 64),
        Setting("seed", 42),
        *program.settings,
        Setting("optimizer", program.optimizer),
        Setting("loss", program.loss),
        Setting("metric", program.metric),
        Setting("learning_rate", float(plan.learning_rate or DEFAULT_LEARNING_RATE)),
        Setting("batch_size", plan.batch_size or DEFAULT_BATCH_SIZE),
        Setting("epochs", plan.epochs or DEFAULT_EPOCHS),
    ]
    lines = [_field(setting) for setting in hyper]
    text = "Every setting of the run; each can be given on the command line."
    fields = f'@dataclasses.dataclass\nclass Config:\n    """{text}"""\n\n'
    parse = _PARSE_CONFIG.replace("$description", quoted(_plain(program.title)[:80]))
    return fields + "\n".join(lines) + "\n\n" + parse


def _field(setting: Setting) -> str:
    value = setting.default
    kind = "str | None" if value is None else type(value).__name__
    comment = f"  # {_plain(setting.comment)}" if setting.comment else ""
    return f"    {setting.name}: {kind} = {quoted(value)}{comment}"


def quoted(value: object) -> str:
    """Return a literal, strings in double quotes."""
    if not isinstance(value, str):
        return repr(value)
    single = repr(value + '"')[1:-2]  # with a double quote in it, repr always writes single quotes around
    return '"' + single.replace("\\'", "'").replace('"', '\\"') + '"'


def _imports(code: str) -> str:
    """Return the import lines for the names that the code uses."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)} & set(IMPORTS)
    standard = [IMPORTS[name] for name in _STANDARD if name in used]
    plain = sorted((line for line in standard if line.startswith("import")), key=str)
    third = [IMPORTS[name] for name in ("keras", "np", "tf") if name in used]
    parts = [name for name in _FROM_KERAS if name in used]
    if parts:
        third.append(f"from keras import {', '.join(parts)}")
    froms = [line for line in standard if line.startswith("from")]
    return "\n".join([*plain, *froms]) + ("\n\n" + "\n".join(third) if third else "")
