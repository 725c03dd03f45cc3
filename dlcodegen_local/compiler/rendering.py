"""Write a fitted chain as Keras code: Sequential where it is linear, functional where tensors are joined."""

import textwrap

from dlcodegen_local.compiler.chain import Chain, Step

LINE_LENGTH = 100


def render_network(chain: Chain, name: str = "model", dtype: str = "", output_only: bool = False) -> str:
    """Return statements that build the network and bind it to `name`."""
    kind = f', dtype="{dtype}"' if dtype else ""
    entry = f"layers.Input(shape={chain.input_code}{kind})"
    steps = chain.steps
    if chain.linear:
        lines = [f"{name} = keras.Sequential(", "    [", f"        {entry},"]
        for step in steps:
            lines += [f"        # {line}" for line in _comment(step)]
            if step.code:
                lines.append(wrapped(f"{step.code},", 8))
        return "\n".join([*lines, "    ]", ")"])
    return "\n".join([f"inputs = {entry}", *render_calls(chain), f"{name} = keras.Model(inputs, x)"])


def render_calls(chain: Chain, source: str = "inputs") -> list[str]:
    """Return the functional form of a chain, line by line; the last tensor is `x`."""
    merged = sorted({step.merges for step in chain.steps if step.merges is not None and step.merges >= 0})
    names = {index: f"skip_{number}" for number, index in enumerate(merged, start=1)}
    lines: list[str] = []
    current = source
    for index, step in enumerate(chain.steps):
        lines += [f"# {line}" for line in _comment(step)]
        if step.code:
            lines.append(wrapped(f"x = {step.code}({_feed(step, names, current)})", 0))
            current = "x"
        if index in names:
            lines.append(f"{names[index]} = {current}")
    return lines if current == "x" else [*lines, f"x = {source}"]


def _feed(step: Step, names: dict[int, str], current: str) -> str:
    if step.merges is None:
        return current
    if step.merges == -1:
        return f"{current}, {current}"
    if step.merges == -2:
        return f"[{current}, {current}]"
    return f"[{current}, {names[step.merges]}]"


def _comment(step: Step) -> list[str]:
    return textwrap.wrap(step.comment, LINE_LENGTH - 12) if step.comment else []


def wrapped(line: str, indent: int) -> str:
    """Indent a line; one that is too long is broken after its outermost bracket, as black does."""
    pad = " " * indent
    if len(pad) + len(line) <= LINE_LENGTH:
        return pad + line
    start = line.find("(")
    parts, depth, last = [], 0, start + 1
    for position in range(start, len(line)):
        char = line[position]
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            parts.append(line[last:position].strip())
            rest = line[position:]
            break
        if char == "," and depth == 1:
            parts.append(line[last:position].strip())
            last = position + 1
    else:
        return pad + line
    body = "".join(f"{pad}    {part},\n" for part in parts if part)
    return f"{pad}{line[: start + 1]}\n{body}{pad}{rest}"
