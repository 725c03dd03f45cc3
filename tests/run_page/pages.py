"""A run to draw, and a parser that reads a page as a browser would."""

from html.parser import HTMLParser

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.run_page.definition import (
    Check,
    PageFinding,
    PageHit,
    Repair,
    Round,
    RunPage,
    SmokeRun,
    StageCost,
    Version,
)

EVIL = (
    "</pre></style></title><script>alert('1')</script><img src=x onerror=go>&amp;"
    "\x00\x1b[31m\u202eflow\ud800\"'`"
)
SHOWN = "⟨U+202E⟩flow⟨U+D800⟩"
VOID = {"meta", "br", "img", "hr", "input", "link"}
PLAN = Plan(
    "Image Classification",
    "(batch_size, 8, 8, 3), images",
    "(batch_size, 2), probabilities",
    "rescaled",
    ("Input(shape=(8, 8, 3))", "Conv2D(4, 3, activation='relu')", "Flatten()", "Dense(2)"),
    "adam",
    "mse",
    0.001,
    4,
    2,
    "accuracy",
)


def script(
    model: str = "def build_model(config):\n    return 1", config: str = "class Config:\n    units = 4"
) -> str:
    return f'"""A program."""\n\n\n# %% [config]\n{config}\n\n\n# %% [model]\n{model}\n'


class Page(HTMLParser):
    """Collects what a page holds, and every element that is closed by the wrong tag."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.wrong: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.wrong += [f"{tag} is left open" for tag in self._open]

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        named = dict(attrs)
        self.attributes |= named.keys()
        if len(named) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        self.links += [
            named[name] for name in ("href", "src", "action", "data", "xlink:href") if name in named
        ]
        self.ids += [named["id"]] if "id" in named else []
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data):
        self.text += data


def a_run(text: str = "plain", **changes) -> RunPage:
    """Return a run whose every text is `text` where it may be anything."""
    first = Version(
        "code-rag", script(), {"config": "model", "model": f"sample:{text}"}, {"config": f"sample:{text}"}
    )
    second = Version(
        "template-rag", script("def build_model(config):\n    return 2"), {"model": f"template:{text}+plan"}
    )
    merged = Version("merge", script(), {"config": "compiler", "model": "computed"}, notes=(text,))
    failed = Check(
        "merge", False, (PageFinding("project.py:9", text, text, "error"),), 0.5, {text: 0.5}, SmokeRun(None)
    )
    smoke = SmokeRun(
        True,
        text,
        (3.0, 2.0, 1.0),
        {"loss": (1.0, 0.5), "val_loss": (1.5, 1.0)},
        {text: 0.5},
        ((2, 1), (0, 3)),
        {text: text},
        text,
    )
    passed = Check("repair", True, (PageFinding("project.py:10", text, text, "warning"),), 1.0, {}, smoke)
    mended = script("def build_model(config):\n    return 3")
    page = {
        "run_id": "0123456789abcdef",
        "requirement": text,
        "dataset": text,
        "plan": PLAN,
        "plan_notes": (text,),
        "hits": (PageHit(text, 3.5, text, text, text, text, text, text, text, ((text, 2.0), ("word", 1.0))),),
        "rounds": (Round((first, second), merged), Round((Version("code-rag 2", error=text),))),
        "delivered": Version("repair", mended, {"config": "compiler", "model": "model"}),
        "origin": "repair",
        "steps": (failed, Repair("repair 1", script(), mended, (text,)), passed),
        "verification": passed,
        "costs": (StageCost("plan", None, None, None, 1.5), StageCost("code-rag", 120, 20, 30, 2.0)),
        "licences": {text: text},
        "settings": {"Seed": text},
        "versions": {"python": text},
    }
    return RunPage(**{**page, **changes})
