"""The model section: loss, metrics and optimizer functions, then `build_model` round the fitted network."""

from dataclasses import replace

from dlcodegen_local.compiler.catalog import BASE_FACTS
from dlcodegen_local.compiler.chain import Chain
from dlcodegen_local.compiler.objective import Objective
from dlcodegen_local.compiler.program import Setting
from dlcodegen_local.compiler.rendering import render_network, wrapped
from dlcodegen_local.compiler.templates import fill

_MODEL = '''
$functions


def build_model(config: Config) -> keras.Model:
    """Return the compiled network."""
    $base
    $network
    $compile
    return model
'''


def model_section(chain: Chain, objective: Objective, settings: list[Setting]) -> str:
    """Return the section's code; a pretrained base adds its two settings to `settings`."""
    base = ""
    call = next((step.code for step in chain.steps if is_base(step.code)), "")
    if call:
        base = f"{wrapped(f'base = {call}', 0)}\nbase.trainable = config.train_base"
        steps = [replace(step, code="base") if step.code == call else step for step in chain.steps]
        chain = replace(chain, steps=steps)
        settings.append(Setting("train_base", True, "False keeps the base network's weights as they are"))
    if any("config.pretrained_weights" in step.code for step in chain.steps) or base:
        settings.append(Setting("pretrained_weights", None, "a local weights file for the base network"))
    network = render_network(chain)
    return fill(
        _MODEL,
        functions=objective.functions,
        base=base,
        network=network,
        compile=wrapped(objective.compile_call, 0),
    )


def is_base(code: str) -> bool:
    """Say whether a step's code builds a pretrained network."""
    name = code.removeprefix("keras.applications.").split("(")[0]
    return code.startswith("keras.applications.") and name in BASE_FACTS
