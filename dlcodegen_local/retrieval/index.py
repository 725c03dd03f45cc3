"""BM25 over plans, partitioned by task category; the only importer of tantivy.

The index is built from a pool's samples on first use, under a name that is the hash of its content,
and built anew when the samples change or a file of it does not have its recorded hash. Paper: III-C.
Differs: a category with fewer than k samples is topped up from its neighbours, and each hit says so.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tantivy

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plan.categories import CATEGORIES, NEIGHBOURS
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.pools import Pool
from dlcodegen_local.retrieval.samples import Sample

_INDEX_FORMAT = 2
_ANALYZER = "plan_text"
_MAX_QUERY_TERMS = 400
_HEAP_BYTES = 15_000_000


@dataclass(frozen=True)
class Hit:
    """Name one retrieved sample. `topped_up` is true where it stands in from a neighbour category.

    `terms` are the query's terms with their BM25 scores in this sample, best first (with `why`).
    """

    sample: Sample
    score: float
    topped_up: bool
    terms: tuple[tuple[str, float], ...] = ()


def plan_text(plan: Plan) -> str:
    """Return the text of a plan that is indexed and queried: all its values, without its keys."""
    numbers = (plan.learning_rate, plan.batch_size, plan.epochs)
    fields = (plan.category, plan.dataset_input, plan.dataset_output, plan.preprocess, *plan.layers)
    fields += (plan.optimizer, plan.loss, plan.metric, *(str(n) for n in numbers if n is not None))
    return "\n".join(fields)


def query_terms(text: str) -> list[str]:
    """Cut a text into terms as the index does: lower case, English stems, no stop words."""
    return list(_analyzer().analyze(text))


class SampleIndex:
    """Search one pool's samples."""

    def __init__(self, pools: Sequence[Pool], cache: Path) -> None:
        """Open the index of these pools below `cache`, building it where it lacks or is damaged.

        Where the cache cannot be written the index is built in memory.

        Raises:
            ArtifactError: the index can be neither opened nor built.
        """
        samples = [pool.sample(entry.id) for pool in pools for entry in pool.entries()]
        self.samples = {sample.id: sample for sample in samples}
        self.sha256 = _content_hash(samples)
        self._index = _open_or_build(samples, cache / f"index-{self.sha256[:16]}")
        self._index.reload()
        self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return len(self.samples)

    def search(
        self, query: Plan | str, k: int, category: str | None = None, *, why: bool = False
    ) -> list[Hit]:
        """Return at most k hits, best first; ties break on the sample's id.

        `category` defaults to the plan's. Without a category the whole pool is one partition.
        """
        text = plan_text(query) if isinstance(query, Plan) else query
        if category is None and isinstance(query, Plan):
            category = query.category
        partitions = [category, *NEIGHBOURS[category], *CATEGORIES] if category else [None]
        hits: list[Hit] = []
        seen: set[str] = set()
        for rank, partition in enumerate(partitions):
            if len(hits) >= k:
                break
            for sample, score, terms in self._search_partition(text, k - len(hits), partition, seen, why):
                hits.append(Hit(sample, score, topped_up=rank > 0, terms=terms))
                seen.add(sample.id)
        return hits

    def _search_partition(
        self, text: str, k: int, category: str | None, seen: set[str], why: bool
    ) -> list[tuple[Sample, float, tuple[tuple[str, float], ...]]]:
        counts = Counter(query_terms(text))
        query = self._query(counts, category)
        wanted = min(len(self.samples), k + len(seen) + 16)
        found = []
        for score, address in self._searcher.search(query, max(wanted, 1)).hits:
            sample = self.samples[self._searcher.doc(address)["id"][0]]
            if sample.id not in seen:
                terms = self._term_scores(counts, address) if why else ()
                found.append((sample, round(float(score), 6), terms))
        return sorted(found, key=lambda hit: (-hit[1], hit[0].id))[:k]

    def _query(self, counts: Counter[str], category: str | None) -> Any:
        schema = self._index.schema
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_QUERY_TERMS]
        clauses = [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(tantivy.Query.term_query(schema, "text", term), float(count)),
            )
            for term, count in ranked
        ]
        if category is None:
            return tantivy.Query.boolean_query(clauses)
        partition = tantivy.Query.const_score_query(
            tantivy.Query.term_query(schema, "category", category), 0.0
        )
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, partition), *clauses])

    def _term_scores(self, counts: Counter[str], address: Any) -> tuple[tuple[str, float], ...]:
        scores = []
        for term, count in counts.items():
            query = tantivy.Query.term_query(self._index.schema, "text", term)
            try:
                explained = json.loads(query.explain(self._searcher, address).to_json())
            except ValueError:  # tantivy's answer where the document does not hold the term
                continue
            scores.append((term, round(float(explained["value"]) * count, 4)))
        return tuple(sorted(scores, key=lambda item: (-item[1], item[0])))


def _document_text(sample: Sample) -> str:
    return "\n".join((sample.title, sample.requirement, plan_text(sample.plan)))


def _content_hash(samples: Iterable[Sample]) -> str:
    digest = hashlib.sha256(f"format {_INDEX_FORMAT}\n".encode())
    for sample in sorted(samples, key=lambda sample: sample.id):
        entry = [sample.id, sample.sha256, _document_text(sample)]
        digest.update(json.dumps(entry).encode() + b"\n")
    return digest.hexdigest()


@cache
def _analyzer() -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(40),
        tantivy.Filter.lowercase(),
        tantivy.Filter.stopword("english"),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("category", stored=False, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    return builder.build()


def _open_or_build(samples: Sequence[Sample], folder: Path) -> Any:
    try:
        if _is_intact(folder):
            return _open(folder)
    except ValueError:
        pass  # damaged in a way that the hashes do not cover: build it anew
    try:
        _build(samples, folder)
        return _open(folder)
    except (OSError, ConfigError):
        return _build_in_memory(samples)  # a cache that cannot be written costs time, not the answer
    except ValueError as exc:
        hint = f"remove {folder} and try again"
        raise ArtifactError(f"{folder}: the index cannot be built: {exc}", hint=hint) from exc


def _open(folder: Path) -> Any:
    index = tantivy.Index.open(str(folder / "files"))
    index.register_tokenizer(_ANALYZER, _analyzer())
    return index


def _is_intact(folder: Path) -> bool:
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return False
    try:
        recorded: dict[str, str] = json.loads(manifest.read_text(encoding="utf-8"))
        return bool(recorded) and all(
            sha256_of(folder / "files" / name) == digest for name, digest in recorded.items()
        )
    except (OSError, ValueError, AttributeError, TypeError, ArtifactError):
        return False


def _build_in_memory(samples: Sequence[Sample]) -> Any:
    index = tantivy.Index(_schema())
    _fill(index, samples)
    return index


def _fill(index: Any, samples: Sequence[Sample]) -> None:
    index.register_tokenizer(_ANALYZER, _analyzer())
    writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    for sample in sorted(samples, key=lambda sample: sample.id):
        document = tantivy.Document(id=sample.id, category=sample.plan.category, text=_document_text(sample))
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


def _build(samples: Sequence[Sample], folder: Path) -> None:
    """Build beside the place and rename, so that two processes at once do not meet half an index."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".index-", dir=folder.parent))
    try:
        files = staging / "files"
        files.mkdir()
        _fill(tantivy.Index(_schema(), path=str(files)), samples)
        recorded = {
            path.name: sha256_of(path)
            for path in sorted(files.iterdir())
            if path.is_file() and not path.name.startswith(".")
        }
        write_file(staging / "manifest.json", json.dumps(recorded, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    except OSError:
        if not _is_intact(folder):  # another process may have built it meanwhile
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
