"""Read the starter's pretraining text: permissively licensed Python from local folders.

Guarantees that every document parses as Python, that documents which share long passages with a leak-check
file are dropped and counted, and that the same folders give the same documents in the same order.
Does not judge licences: the sources file states them and they are copied into the training record.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

SHINGLE_TOKENS = 50
MAX_SHARED_SHINGLES = 4
MAX_FILE_BYTES = 120_000
_TOKEN = re.compile(r"\w+|[^\w\s]")
_MAGIC = re.compile(r"^\s*[%!?].*$", re.MULTILINE)
_HEADER = re.compile(r"\A(?:#[^\n]*\n)+\s*")
_PERMISSIVE = ("Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Python-2.0")


@dataclass(frozen=True)
class Source:
    """Name one folder of text: version or commit, licence, glob patterns, bytes at most, repeats an epoch."""

    name: str
    version: str
    licence: str
    path: str
    include: tuple[str, ...] = ("**/*.py",)
    exclude: tuple[str, ...] = ()
    max_bytes: int = 10**9
    repeat: int = 1


@dataclass
class SourceCount:
    """Count what one source gave."""

    name: str
    version: str
    licence: str
    files: int = 0
    bytes: int = 0
    repeat: int = 1
    unparsable: int = 0
    overlapping: int = 0


@dataclass
class Corpus:
    """Hold documents, those kept for validation apart, and the counts of each source."""

    training: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)
    counts: list[SourceCount] = field(default_factory=list)

    def record(self) -> dict[str, object]:
        """Return what the training record says of the text: counts, licences and one hash of it all."""
        digest = hashlib.sha256("\0".join([*self.training, *self.validation]).encode()).hexdigest()
        return {"sources": [asdict(count) for count in self.counts], "sha256": digest}


def read_sources(path: Path) -> list[Source]:
    """Read the sources file; relative folders are relative to it.

    Raises:
        ValueError: a licence is not one of the permissive ones that are known here.
    """
    sources = []
    for entry in json.loads(path.read_text(encoding="utf-8"))["sources"]:
        if entry["licence"] not in _PERMISSIVE:
            raise ValueError(f"{entry['name']}: {entry['licence']} is not a known permissive licence")
        entry["path"] = str((path.parent / entry["path"]).resolve())
        lists = {key: tuple(entry[key]) for key in ("include", "exclude") if key in entry}
        sources.append(Source(**{**entry, **lists}))
    return sources


def shingles(text: str, size: int = SHINGLE_TOKENS) -> set[int]:
    """Return the hashes of all runs of `size` lexical tokens."""
    tokens = _TOKEN.findall(text)
    return {hash(tuple(tokens[i : i + size])) for i in range(len(tokens) - size + 1)}


def leak_shingles(paths: Iterable[Path]) -> set[int]:
    """Return the shingles of the `reference` texts in JSON-lines files of evaluation tasks."""
    found: set[int] = set()
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            found |= shingles(json.loads(line).get("reference") or "")
    return found


def notebook_source(text: str) -> str:
    """Return the code cells of a notebook, magics left out."""
    cells = json.loads(text).get("cells", [])
    code = ["".join(cell["source"]) for cell in cells if cell.get("cell_type") == "code"]
    kept = [cell for cell in code if cell.strip() and not cell.lstrip().startswith("%%")]
    return _MAGIC.sub("", "\n\n".join(cell.strip() for cell in kept))


def shorten_docstrings(source: str) -> str:
    """Cut every docstring of several lines to its first line.

    Raises:
        SyntaxError: the text is not Python.
    """
    lines = source.splitlines()
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) and node.body:
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            found.append(first)
    for expression in sorted(found, key=lambda item: -item.lineno):
        end = expression.end_lineno or expression.lineno
        if end == expression.lineno or lines[end - 1][expression.end_col_offset or 0 :].strip():
            continue
        words = ast.literal_eval(expression.value).strip().splitlines()[:1] or ["Undocumented."]
        quoted = words[0].replace("\\", "\\\\").replace('"', "'")
        indent = lines[expression.lineno - 1][: expression.col_offset]
        if not indent.strip():
            lines[expression.lineno - 1 : end] = [f'{indent}"""{quoted}"""']
    return "\n".join(lines) + "\n"


def clean(text: str, suffix: str) -> str:
    """Return the document of a file: licence comment and long docstrings cut, blank runs closed.

    Raises:
        SyntaxError, ValueError: the file is not Python or not a notebook.
    """
    source = notebook_source(text) if suffix == ".ipynb" else text
    source = shorten_docstrings(_HEADER.sub("", source.replace("\r\n", "\n").replace("\t", "    ")))
    source = re.sub(r"[ \t]+$", "", source, flags=re.MULTILINE)
    return re.sub(r"\n{4,}", "\n\n\n", source).strip() + "\n"


def _paths(source: Source) -> Iterator[Path]:
    root = Path(source.path)
    paths = {path for pattern in source.include for path in root.glob(pattern)}
    paths -= {path for pattern in source.exclude for path in root.glob(pattern)}
    # A hash order, so that a cap on bytes takes a spread of files and not the first folders.
    named = [(path.relative_to(root).as_posix(), path) for path in paths]
    yield from (path for _, path in sorted(named, key=lambda item: hashlib.sha256(item[0].encode()).digest()))


def _document(path: Path) -> str | None:
    if not path.is_file() or path.is_symlink() or path.stat().st_size > 20 * MAX_FILE_BYTES:
        return None
    try:
        text = clean(path.read_text(encoding="utf-8"), path.suffix)
    except (SyntaxError, ValueError, RecursionError, KeyError, TypeError):
        return None
    printable = all(len(line) < 400 for line in text.splitlines())
    return text if printable and 300 < len(text) <= MAX_FILE_BYTES else None


def read_corpus(sources: Iterable[Source], leaks: set[int], validation_share: float = 0.02) -> Corpus:
    """Read, clean and filter every source; duplicates of an earlier document are left out."""
    corpus = Corpus()
    seen: set[str] = set()
    for source in sources:
        count = SourceCount(source.name, source.version, source.licence, repeat=source.repeat)
        for path in _paths(source):
            if count.bytes >= source.max_bytes:
                break
            document = _document(path)
            if document is None:
                count.unparsable += 1
                continue
            digest = hashlib.sha256(document.encode()).hexdigest()
            if digest in seen:
                continue
            seen.add(digest)
            if leaks and len(leaks & shingles(document)) > MAX_SHARED_SHINGLES:
                count.overlapping += 1
                continue
            count.files += 1
            count.bytes += len(document.encode())
            if int(digest[:8], 16) < validation_share * 2**32:
                corpus.validation.append(document)
            else:
                corpus.training.extend([document] * source.repeat)
        corpus.counts.append(count)
    return corpus
