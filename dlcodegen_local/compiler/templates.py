"""Fill code templates: `$name` stands for a value, and a line that is only `$name` for indented lines."""

import re
import textwrap

_LINE = re.compile(r"^([ ]*)\$([a-z_]+)[ ]*$", re.MULTILINE)
_INLINE = re.compile(r"\$([a-z_]+)")


def fill(template: str, **values: str) -> str:
    """Return the template with its placeholders replaced; blocks keep the placeholder's indentation.

    An empty block removes its line.

    Raises:
        KeyError: the template has a placeholder without a value.
    """

    def block(match: re.Match[str]) -> str:
        text = values[match.group(2)].strip("\n")
        return textwrap.indent(text, match.group(1)) if text else "\0"

    filled = _LINE.sub(block, template).replace("\0\n", "").replace("\0", "")
    filled = _INLINE.sub(lambda match: values[match.group(1)], filled)
    return re.sub(r"\n{4,}", "\n\n\n", filled).strip()
