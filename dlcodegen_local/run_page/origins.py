"""Whom a segment of code is from, as a label and a class of the style sheet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dlcodegen_local.html_page import escaped

_SAMPLE_COLOURS = 4


@dataclass(frozen=True)
class Origin:
    """Name one origin: `label` in words, `css` its classes."""

    label: str
    css: str

    def chip(self) -> str:
        """Return the label as HTML, in its colour."""
        return f'<span class="origin {self.css}">{escaped(self.label)}</span>'


class Origins:
    """Tell the origins of one run apart: every sample has a colour of its own, in the order given."""

    def __init__(self, sample_ids: Iterable[str]) -> None:
        self._samples = {name: number for number, name in enumerate(dict.fromkeys(sample_ids), start=1)}
        self.used: dict[str, Origin] = {}

    def of(self, provenance: Mapping[str, str], section: str) -> Origin:
        """Return the origin of a section, and remember it for the legend."""
        origin = self._read(provenance.get(section) or provenance.get("*") or "")
        self.used.setdefault(origin.label, origin)
        return origin

    def _read(self, text: str) -> Origin:
        """Read one origin, or several with commas between them, of which the first gives the colour."""
        parts = [self._read_one(part) for part in text.split(", ")]
        if len(parts) == 1:
            return parts[0]
        return Origin(" and ".join(dict.fromkeys(part.label for part in parts)), f"{parts[0].css} several")

    def _read_one(self, text: str) -> Origin:
        if not text:
            return Origin("origin not recorded", "o-none")
        name, _, with_plan = text.partition("+plan") if text.endswith("+plan") else (text, "", None)
        css = " planned" if with_plan is not None else ""
        suffix = ", plan values put in" if with_plan is not None else ""
        kind, _, sample = name.partition(":")
        if kind in ("sample", "template") and sample:
            what = f"sample {sample}" if kind == "sample" else f"template of sample {sample}"
            return Origin(what + suffix, f"o-s{self._number(sample)}{css}")
        known = {
            "model": ("written by the model", "o-model"),
            "compiler": ("plan compiler", "o-compiler"),
            "computed": ("computed from names", "o-computed"),
        }
        label, own = known.get(name, (name, "o-none"))
        return Origin(label + suffix, own + css)

    def _number(self, sample: str) -> int:
        self._samples.setdefault(sample, len(self._samples) + 1)
        return (self._samples[sample] - 1) % _SAMPLE_COLOURS + 1

    def legend(self) -> str:
        """Return the origins that were used, as a list."""
        items = "".join(f"<li>{origin.chip()}</li>" for _, origin in sorted(self.used.items()))
        return f'<ul class="legend origins">{items}</ul>' if items else ""


def is_from(provenance: str, sample_id: str) -> bool:
    """Tell whether a section's provenance names a sample, as it was or with the plan's values."""
    named = (part.removesuffix("+plan").partition(":")[2] for part in provenance.split(", "))
    return sample_id in named


def written_after(bases: Mapping[str, str], section: str, sample_ids: Sequence[str]) -> str:
    """Say after which sample the model wrote a section; "" where that is not recorded."""
    base = bases.get(section) or bases.get("*") or ""
    named = [part.partition(":")[2] or part for part in base.split(", ") if part]
    known = [name for name in named if name in sample_ids]
    return f"after {', '.join(known)}" if known else ""
