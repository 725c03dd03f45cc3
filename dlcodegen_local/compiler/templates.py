"""Fill code templates: `$name` stands for a value, and a line that is only `$name` for indented lines."""

import re
import textwrap

_PLACE = re.compile(r"^([ ]*)\$([a-z_]+)[ ]*$|\$([a-z_]+)", re.MULTILINE)


def fill(template: str, **values: str) -> str:
    """Return the template with its placeholders replaced; blocks keep the placeholder's indentation.

    An empty block removes its line. One pass: a `$name` inside a value, which may come from a plan, stays.

    Raises:
        KeyError: the template has a placeholder without a value.
    """

    def block(match: re.Match[str]) -> str:
        """Return the text for a placeholder: indented lines, or a mark that removes its line, if alone."""
        if match.group(3):
            return values[match.group(3)]
        text = values[match.group(2)].strip("\n")
        return textwrap.indent(text, match.group(1)) if text else "\0"

    filled = _PLACE.sub(block, template).replace("\0\n", "").replace("\0", "")
    return re.sub(r"\n{4,}", "\n\n\n", filled).strip()
