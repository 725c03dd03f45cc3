"""One partition of the index: BM25 over the plans of one category, or of all. The only importer of tantivy.

A partition has statistics of its own (document frequencies, average length). Guarantees that every
term of a query counts and that equal scores come in the order of pool and id. Does not guard its files:
`index_files` does.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import tantivy

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.retrieval.pools import Entry
from dlcodegen_local.retrieval.query import plan_text

FRAMEWORKS = ("keras", "torch")
_MAX_QUERY_TERMS = 1000
_HEAP_BYTES = 30_000_000
_AT_ONCE = 32
_ASCII_TOKEN = re.compile("[0-9A-Za-z]+")
_MAX_UNMATCHED = 1000


@dataclass(frozen=True)
class Row:
    """Hold one sample as it is indexed: the number of its pool, its id, framework, and analysed text."""

    pool: int
    id: str
    framework: str
    text: str


@dataclass(frozen=True)
class Match:
    """Hold one document that was found; `address` is where the searcher finds it again."""

    pool: int
    id: str
    framework: str
    score: float
    address: Any


def row_of(entry: Entry, pool: int) -> Row:
    """Return the row of a sample: its title, requirement and plan, cut into terms."""
    text = "\n".join((entry.title, entry.requirement, plan_text(entry.plan)))
    framework = entry.framework if entry.framework in FRAMEWORKS else ""
    return Row(pool, entry.id, framework, " ".join(map(_terms, text.split("\n"))))


def query_terms(text: str) -> list[str]:
    """Cut a text into terms as the index does: lower case, English stems, no stop words."""
    return " ".join(map(_terms, text.split("\n"))).split()


def write_partition(rows: Iterable[Row], folder: Path | None) -> Any:
    """Index rows in a folder that exists, or in memory.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        index = tantivy.Index(_schema(), path=str(folder) if folder else None)
        writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for row in rows:
            document = tantivy.Document()
            document.add_text("id", row.id)
            document.add_unsigned("pool", row.pool)
            document.add_unsigned("framework", _framework_number(row.framework))
            document.add_text("text", row.text)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
    except ValueError as exc:  # what tantivy raises for everything, a full disk included
        raise OSError(f"the index cannot be written: {exc}") from exc
    return index


class Partition:
    """Search one partition."""

    def __init__(self, name: str, index: Any) -> None:
        self.name = name
        index.reload()
        self._searcher = index.searcher()
        self._schema = index.schema

    @classmethod
    def open(cls, name: str, folder: Path) -> "Partition":
        """Open a partition that was written to a folder.

        Raises:
            ArtifactError: it is damaged.
        """
        try:
            return cls(name, tantivy.Index.open(str(folder)))
        except ValueError as exc:
            raise ArtifactError(f"{folder} is not a readable index: {exc}", hint="remove it") from exc

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def ranked(self, counts: Counter[str], *, unmatched: bool = False) -> Iterator[Match]:
        """Yield documents by score, then pool, then id; some are searched for at once, then more.

        `unmatched` yields after them documents that hold no term of the query, 1000 at most, with score 0.
        """
        query, limit, given = self._query(counts), _AT_ONCE, 0
        seen: set[tuple[int, str]] = set()
        while query is not None:
            limit = max(1, min(limit, len(self)))
            hits = self._top(query, limit)
            for match in self._in_order(hits[given:]):
                seen.add((match.pool, match.id))
                yield match
            given = len(hits)
            if limit >= len(self):
                break
            limit *= 4
        if unmatched:
            rest = self._searcher.search(tantivy.Query.all_query(), max(1, min(len(self), _MAX_UNMATCHED)))
            for match in self._in_order([(0.0, address) for _, address in rest.hits]):
                if (match.pool, match.id) not in seen:
                    yield match

    def term_scores(self, counts: Counter[str], match: Match) -> tuple[tuple[str, float], ...]:
        """Return the query's terms with their scores in one document, best first."""
        scores = []
        for term, count in counts.items():
            query = tantivy.Query.term_query(self._schema, "text", term)
            try:
                explained = json.loads(query.explain(self._searcher, match.address).to_json())
            except ValueError:  # tantivy's answer where the document does not hold the term
                continue
            scores.append((term, round(float(explained["value"]) * count, 4)))
        return tuple(sorted(scores, key=lambda item: (-item[1], item[0])))

    def _top(self, query: Any, limit: int) -> list[tuple[float, Any]]:
        """Return score and address of the best documents, without those that tie with some beyond the limit.

        The count of all matches is asked for although nobody reads it: without it tantivy skips by blocks,
        which takes twice the time for queries as long as a plan.
        """
        found = self._searcher.search(query, limit, count=True).hits
        hits = [(round(float(score), 6), address) for score, address in found]
        if len(hits) == limit < len(self):
            hits = [hit for hit in hits if hit[0] > hits[-1][0]]
        return hits

    def _in_order(self, hits: list[tuple[float, Any]]) -> Iterator[Match]:
        """Yield hits that are sorted by score; none is looked up before it is asked for, but for ties."""
        for score, ties in groupby(hits, key=lambda hit: hit[0]):
            addresses = [address for _, address in ties]
            pools = self._searcher.fast_field_values("pool", addresses)
            frameworks = self._searcher.fast_field_values("framework", addresses)
            matches = [
                Match(
                    pool, self._searcher.doc(address)["id"][0], (*FRAMEWORKS, "")[framework], score, address
                )
                for address, pool, framework in zip(addresses, pools, frameworks, strict=True)
            ]
            yield from sorted(matches, key=lambda match: (match.pool, match.id))

    def _query(self, counts: Counter[str]) -> Any:
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_QUERY_TERMS]
        clauses = []
        for term, count in ranked:
            query = tantivy.Query.term_query(self._schema, "text", term)
            clauses.append(query if count == 1 else tantivy.Query.boost_query(query, float(count)))
        if not clauses:
            return None
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses])


def _framework_number(framework: str) -> int:
    return FRAMEWORKS.index(framework) if framework in FRAMEWORKS else len(FRAMEWORKS)


@lru_cache(maxsize=16_384)
def _terms(line: str) -> str:
    """Return the terms of a line, joined; plans repeat their lines, so that most are analysed once."""
    if not line.isascii():  # which letters there are beyond ASCII, tantivy knows
        return " ".join(_analyzer().analyze(line))
    return " ".join(filter(None, map(_term, _ASCII_TOKEN.findall(line))))


@lru_cache(maxsize=32_768)
def _term(token: str) -> str:
    """Return the term of one token, "" for a stop word."""
    return "".join(_analyzer().analyze(token))


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
    """Return the fields; the text is analysed before it comes here, its terms parted by blanks."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("pool", fast=True)
    builder.add_unsigned_field("framework", fast=True)
    builder.add_text_field("text", stored=False, tokenizer_name="whitespace", index_option="freq")
    return builder.build()
