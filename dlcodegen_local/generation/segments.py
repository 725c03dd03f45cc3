"""Drafts as sections: cutting code that has no markers, checking a section, agreeing on names.

Guarantees that `reconcile` ends, and that its result names what it could not mend.
"""

import ast
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlcodegen_local.generation.imports import complete_imports, is_imports_only
from dlcodegen_local.generation.plan_values import complete_fields, label_form
from dlcodegen_local.generation.syntax import (
    config_fields,
    config_uses,
    functions_of,
    names_of,
    parse_module,
    unpack_pattern,
)
from dlcodegen_local.sections import REQUIRED_FUNCTIONS, SECTION_NAMES, Sections

COMPUTED = "computed"
# The sections that depend on the form of data and labels.
TIED_SECTIONS = ("config", "data", "model", "train", "evaluate", "predict")
_ALIKE_RATIO = 0.8
_MARKER = re.compile(r"^# %% (?=\[)", re.MULTILINE)
_SLOT = re.compile(r"\{\{\s*\w+\s*\}\}")
_KINDS = (
    ("predict", re.compile(r"predict|infer|sample_images|translate_text|generate_text")),
    ("evaluate", re.compile(r"evaluat|^test_|compute_metrics|score")),
    ("train", re.compile(r"train|^fit|callback|save_")),
    ("model", re.compile(r"model|build|network|encoder|decoder|generator|discriminator|block|loss|metric")),
    ("config", re.compile(r"config|args|settings|hyperparam")),
    ("data", re.compile(r"data|load|read|synthetic|preprocess|split|token|vocab|augment|batch|image")),
)
# What top-level statements of a script without functions do, as far as the calls in them show it.
_CALLS = (
    ("evaluate", re.compile(r"\.evaluate\(|classification_report|confusion_matrix|no_grad\(")),
    ("train", re.compile(r"\.fit\(|\.backward\(|\.save\(|\bfit_generator\(")),
    ("predict", re.compile(r"\.predict\(")),
    ("model", re.compile(r"Sequential|\bModel\(|layers\.|\.compile\(|\bDense\(|\bnn\.|optim|\bmodel\.")),
    (
        "data",
        re.compile(
            r"read_csv|load_data|Dataset|DataLoader|Generator|flow_from|open\(|load_img|np\.load|loadtxt|genfromtxt|ImageFolder"
        ),
    ),
)


def cut_source(source: str) -> Sections | None:
    """Cut a script into sections: at its markers, else by what its top-level statements are.

    None for code that has no markers and does not parse. Markers that are not the contract's end as
    comments: what is cut here never brings a marker into another script.
    """
    try:
        return Sections.parse(source)
    except ValueError:
        pass
    source = _MARKER.sub("# ", source)
    tree = parse_module(source)
    if tree is None:
        return None
    bodies: dict[str, list[str]] = {name: [] for name in SECTION_NAMES}
    lines = source.split("\n")
    start, current, header = 0, "config", ""
    for index, node in enumerate(tree.body):
        end = node.end_lineno or start
        text = "\n".join(lines[start:end]).strip("\n")
        start = end
        if index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            header = text
            continue
        current = _section_of(node, current)
        bodies[current].append(text)
    return Sections(header, {name: "\n\n\n".join(parts) for name, parts in bodies.items() if parts})


def _section_of(node: ast.stmt, current: str) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "imports"
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return "main"
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        name = node.name.lower()
        if node.name == "Config":
            return "config"
        for section, functions in REQUIRED_FUNCTIONS.items():
            if node.name in functions:
                return section
        return next((section for section, words in _KINDS if words.search(name)), current)
    text = ast.unparse(node)
    return next((section for section, calls in _CALLS if calls.search(text)), current)


def is_sound(section: str, body: str) -> bool:
    """Tell whether a section parses, has no slot left, and defines what the contract asks of it."""
    if not body.strip() or _SLOT.search(body):
        return False
    tree = parse_module(body)
    if tree is None:
        return False
    if section == "imports":
        return is_imports_only(body)
    if section == "config" and not config_fields(body):
        return False
    return set(REQUIRED_FUNCTIONS.get(section, ())) <= set(functions_of(tree))


def is_sound_script(source: str) -> bool:
    """Tell whether a script parses and every section of the contract is sound."""
    sections = cut_source(source) if parse_module(source) is not None else None
    return sections is not None and all(
        is_sound(name, sections.bodies.get(name, "")) for name in REQUIRED_FUNCTIONS
    )


def data_interface(sections: Sections) -> tuple[object, ...]:
    """Return the form of what `load_data` hands over, as far as its readers and the loss show it."""
    readers = "\n\n".join(sections.bodies.get(name, "") for name in ("train", "evaluate", "predict"))
    data = sections.bodies.get("data", "")
    is_stream = "Dataset" in data or ".batch(" in data
    return (is_stream, unpack_pattern(readers, "load_data"), label_form(sections.bodies.get("config", "")))


def are_alike(one: Sections, other: Sections) -> bool:
    """Tell whether sections of two scripts may stand beside each other.

    True where both read nearly the same data and hand it over in the same form, as drafts after one
    sample do. Else a model would meet data of another form.
    """
    if data_interface(one) != data_interface(other):
        return False
    ours, theirs = (sections.bodies.get("data", "").split("\n") for sections in (one, other))
    return difflib.SequenceMatcher(None, ours, theirs, autojunk=False).ratio() >= _ALIKE_RATIO


@dataclass(frozen=True)
class Reconciled:
    """Hold one script put together from several sources. `missing` is empty where all names agree."""

    sections: Sections
    provenance: Mapping[str, str]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def reconcile(chosen: Mapping[str, str], sources: Mapping[str, Sections], header: str) -> Reconciled:
    """Put chosen sections together so that every name that a section uses is defined before it.

    `chosen` maps a section to the source it comes from. Imports and fields of Config are completed
    from all sources. Where other names break, the section that lacks them is taken from another source,
    with all that it shares data with if they hand data over in another way, else the sections that
    define the names are; where that goes in circles, everything comes from the first source that
    agrees with itself.
    """
    origins = {name: origin for name, origin in chosen.items() if sources[origin].bodies.get(name)}
    notes: list[str] = []
    seen: set[tuple[tuple[str, str], ...]] = set()
    while problem := _first_problem(origins, sources):
        section, missing = problem
        change = _mend(section, missing, origins, sources)
        state = tuple(sorted(origins.items()))
        if change is None or state in seen:
            break
        seen.add(state)
        changed = ", ".join(f"[{name}]" for name in change)
        notes.append(
            f"{changed} taken from {change[next(iter(change))]}: "
            f"[{section}] of {origins[section]} lacks {', '.join(missing)}"
        )
        origins.update(change)
    if _first_problem(origins, sources):
        for origin, sections in sources.items():
            whole = {name: origin for name in SECTION_NAMES if sections.bodies.get(name)}
            if set(REQUIRED_FUNCTIONS) <= set(whole) and not _first_problem(whole, sources):
                notes.append(f"everything taken from {origin}: the sections did not agree on names")
                origins = whole
                break
    bodies, completed = _assemble(origins, sources)
    if bodies.get("imports") != sources.get(origins.get("imports", ""), Sections("", {})).bodies.get(
        "imports"
    ):
        origins["imports"] = COMPUTED
    problem = _first_problem(origins, sources)
    return Reconciled(
        Sections(header, {name: bodies[name] for name in SECTION_NAMES if name in bodies}),
        {name: origins[name] for name in SECTION_NAMES if name in origins},
        (*notes, *completed),
        problem[1] if problem else (),
    )


def _assemble(
    origins: Mapping[str, str], sources: Mapping[str, Sections]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the chosen bodies, imports and Config completed from all sources, and what was added."""
    bodies = {name: sources[origin].bodies[name] for name, origin in origins.items() if origin in sources}
    notes = []
    if config_fields(bodies.get("config", "")):
        others = [source.bodies.get("config", "") for source in sources.values()]
        used = frozenset[str]().union(*(config_uses(body) for body in bodies.values()))
        bodies["config"], fields = complete_fields(bodies["config"], used, others)
        if fields:
            notes.append(f"[config] completed with {', '.join(fields)}")
    imports, added = complete_imports(bodies, [s.bodies.get("imports", "") for s in sources.values()])
    if imports:
        bodies["imports"] = imports
    if added:
        notes.append(f"[imports] completed with {', '.join(added)}")
    return bodies, tuple(notes)


def _first_problem(
    origins: Mapping[str, str], sources: Mapping[str, Sections]
) -> tuple[str, tuple[str, ...]] | None:
    """Return the first section that uses a name nothing before it defines, with these names."""
    bodies, _ = _assemble(origins, sources)
    defined = set(names_of(bodies.get("imports", ""))[0])
    fields = set(config_fields(bodies.get("config", "")))
    for name in SECTION_NAMES[1:]:
        if name not in bodies:
            continue
        bound, needed = names_of(bodies[name])
        missing = needed - defined - bound
        if fields and name != "config":
            missing |= {f"config.{field}" for field in config_uses(bodies[name]) - fields}
        if missing:
            return name, tuple(sorted(missing))
        defined |= bound
    return None


def _mend(
    section: str, missing: tuple[str, ...], origins: Mapping[str, str], sources: Mapping[str, Sections]
) -> dict[str, str] | None:
    """Return which sections to take from which source so that `section` has what it lacks."""
    current = data_interface(Sections("", _assemble(origins, sources)[0]))
    for origin, sections in sources.items():
        if origin == origins[section] or not sections.bodies.get(section):
            continue
        change = {section: origin}
        if section in TIED_SECTIONS and data_interface(sections) != current:
            change.update({name: origin for name in TIED_SECTIONS if sections.bodies.get(name)})
        found = _first_problem({**origins, **change}, sources)
        if found is None or SECTION_NAMES.index(found[0]) > SECTION_NAMES.index(section):
            return change
    for origin, sections in sources.items():
        for name in SECTION_NAMES[: SECTION_NAMES.index(section)]:
            body = sections.bodies.get(name, "")
            if origins.get(name) == origin or name == "imports" or not body:
                continue
            if set(missing) & names_of(body)[0]:
                return {name: origin}
    return None
