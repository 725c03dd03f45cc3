"""The style sheets: nothing is loaded, and text stands out from what is behind it, light and dark."""

import re
from pathlib import Path

import pytest

import dlcodegen_local

PACKAGE = Path(dlcodegen_local.__file__).parent
CSS = "".join(
    (PACKAGE / name).read_text(encoding="utf-8") for name in ("html_page.css", "run_page/run_page.css")
)
READABLE = 4.5  # WCAG 2.2, AA
PAIRS = [
    *((text, back) for text in ("text", "quiet", "good", "bad", "link") for back in ("page", "shade")),
    *((text, back) for text in ("text", "quiet", "good", "c1", "c3") for back in ("shade", "new")),
    *((text, back) for text in ("text",) for back in ("plus", "minus")),
]


def colours(scheme: str) -> dict[str, str]:
    """Return the colours of a scheme: those of the dark one are laid over the light ones."""
    dark = "".join(re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*?\})\s*\}", CSS, re.DOTALL))
    light = CSS
    for block in re.findall(r"@media \(prefers-color-scheme: dark\) \{.*?\}\s*\}", CSS, re.DOTALL):
        light = light.replace(block, "")
    named = r"--([\w-]+): (#[0-9a-f]{3,6});"
    return dict(re.findall(named, light)) | (dict(re.findall(named, dark)) if scheme == "dark" else {})


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "back"), PAIRS)
def test_text_can_be_read(scheme, text, back):
    known = colours(scheme)
    one, two = sorted((luminance(known[text]), luminance(known[back])), reverse=True)
    assert (one + 0.05) / (two + 0.05) >= READABLE


def test_style_sheets_load_nothing_and_close_every_brace():
    assert not re.search(r"url\(|@import|@font-face|https?:|<", CSS)
    assert CSS.count("{") == CSS.count("}")
