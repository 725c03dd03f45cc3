"""One source file in percent cells: cut it into its sections and put it together again.

Guarantees that `Sections.parse(s.to_source())` equals `s`. The section contract (which functions a
section must define) is checked by `verification.static`, not here.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

SECTION_NAMES = ("imports", "config", "data", "model", "train", "evaluate", "predict", "main")
REQUIRED_FUNCTIONS = {
    "config": ("parse_config",),
    "data": ("make_synthetic", "load_data"),
    "model": ("build_model",),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "predict": ("predict",),
}
_MARKER = re.compile(r"^# %% \[([a-z]+)\][ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Sections:
    """Hold a script's header (SPDX line, docstring) and its sections by name, in contract order."""

    header: str
    bodies: Mapping[str, str]

    @property
    def docstring(self) -> str:
        """The module docstring of the header, "" where it has none or does not parse."""
        try:
            return ast.get_docstring(ast.parse(self.header)) or ""
        except (SyntaxError, ValueError):
            return ""

    def to_source(self) -> str:
        """Return the script: header, then every section under its `# %% [name]` marker."""
        parts = [self.header.strip()] if self.header.strip() else []
        parts += [
            f"# %% [{name}]\n{self.bodies[name].strip()}"
            for name in SECTION_NAMES
            if self.bodies.get(name, "").strip()
        ]
        return "\n\n\n".join(parts) + "\n"

    def replace(self, **bodies: str) -> "Sections":
        """Return a copy in which the named sections have new bodies."""
        if unknown := bodies.keys() - set(SECTION_NAMES):
            raise ValueError(f"unknown sections: {sorted(unknown)}")
        return Sections(self.header, {**self.bodies, **bodies})

    @classmethod
    def parse(cls, source: str) -> "Sections":
        """Cut a script at its markers.

        Raises:
            ValueError: a marker is unknown or stands twice, or there is none.
        """
        marks = list(_MARKER.finditer(source))
        if not marks:
            raise ValueError("no section marker")
        bodies: dict[str, str] = {}
        for mark, following in zip(marks, [*marks[1:], None], strict=True):
            name = mark.group(1)
            if name not in SECTION_NAMES:
                raise ValueError(f"unknown section: {name}")
            if name in bodies:
                raise ValueError(f"section stands twice: {name}")
            bodies[name] = source[mark.end() : following.start() if following else None].strip()
        return cls(source[: marks[0].start()].strip(), bodies)
