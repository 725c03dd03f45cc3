"""The process that renders a model's own chat template: one template in, literal pieces out.

Run as a file of its own, in a fresh interpreter; nothing of ours is imported. Guarantees limits on memory,
time and output before the template is parsed, that no socket, program or file is opened from then on, and
that an answer holds each probe once, in its order. The sandbox of Jinja keeps a template from attributes;
that a template loops is the limits' affair.
"""

import ctypes
import json
import re
import resource
import sys
from collections.abc import Callable
from typing import Any

_MEMORY_BYTES = 512 << 20
_CPU_SECONDS = 2
_OUTPUT_BYTES = 65_536
_MAX_LITERAL_CHARS = 4000
_SYSTEM, _USER, _ANSWER = "SYSTEMprobe7Q", "USERprobe7Q", "ANSWERprobe7Q"
_REFUSED = ("socket.", "subprocess.", "os.", "ctypes.", "shutil.", "open", "import", "compile.file")
# A mark for training, which Jinja itself does not know.
_GENERATION_TAG = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000

Messages = list[dict[str, str]]


def main() -> int:
    """Read template and tokens as JSON from stdin, write the format as JSON to stdout."""
    request = json.load(sys.stdin)
    render = _renderer(request["template"], request["tokens"])
    _confine()
    json.dump(learn(render), sys.stdout)
    return 0


def learn(render: Callable[[Messages, bool], str]) -> dict[str, Any]:
    """Return the layout of a prompt, and the texts that end an answer.

    Raises:
        ValueError: what the template makes of the probe is no prompt that it stands in.
    """
    system, user = {"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}
    try:
        layout = _layout(render([system, user], True), (_SYSTEM, _USER))
    except Exception:  # a template refuses a system turn in whatever way it likes
        layout = _layout(render([user], True), (_USER,)).replace("{user}", "{system}\n\n{user}")
    try:
        whole = render([user, {"role": "assistant", "content": _ANSWER}], False)
        end = whole.split(_ANSWER)[1].strip() if whole.count(_ANSWER) == 1 else ""
    except Exception:
        end = ""
    return {"layout": layout, "stop": [end] if 0 < len(end) <= 64 else []}


def _layout(text: str, probes: tuple[str, ...]) -> str:
    places = [text.find(probe) for probe in probes]
    if any(text.count(probe) != 1 for probe in probes) or places != sorted(places):
        raise ValueError("the template does not show each turn once")
    if len(text) > _MAX_LITERAL_CHARS or "{system}" in text or "{user}" in text:
        raise ValueError("the template adds too much")
    return text.replace(_SYSTEM, "{system}").replace(_USER, "{user}")


def _renderer(template: str, tokens: dict[str, str]) -> Callable[[Messages, bool], str]:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        """Stand for what templates call to complain of a conversation."""
        raise ValueError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals.update(raise_exception=refuse, strftime_now=lambda _: "2025-01-01")
    environment.from_string("{% for m in messages %}{{ m['content'] | trim }}{% endfor %}").render(
        messages=[]
    )

    def render(messages: Messages, is_open: bool) -> str:
        """Return a conversation as the template writes it."""
        compiled = environment.from_string(_GENERATION_TAG.sub("", template))
        return compiled.render(
            messages=messages, add_generation_prompt=is_open, tools=None, enable_thinking=False, **tokens
        )

    return render


def _confine() -> None:
    ctypes.CDLL(None).unshare(_NEW_USER_AND_NETWORK)  # where the system allows it; the hook refuses it anyway
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} is refused here")


if __name__ == "__main__":
    sys.exit(main())
