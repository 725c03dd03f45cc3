"""What the search is compared with: one plain call of Tantivy, and bm25s, with every term of the query."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import tantivy

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index import plan_text, query_terms
from dlcodegen_local.retrieval.pools import Entry

Search = Callable[[Plan], list[str]]


def document(entry: Entry) -> str:
    """Return the text of a sample as it is indexed."""
    return "\n".join((entry.title, entry.requirement, plan_text(entry.plan)))


def plain_tantivy(entries: list[Entry], k: int) -> Iterator[tuple[str, Search]]:
    """Yield searches of indexes that Tantivy analyses itself, by one boolean query of every term.

    Of one index over everything, of that index with the category as a condition, and of one a category.
    """
    everything = _index(entries)
    parts = {category: _index(some) for category, some in by_category(entries).items()}
    yield "plain Tantivy call in everything", lambda plan: _call(everything, plan, k)
    yield "plain Tantivy call in a category", lambda plan: _call(parts[plan.category], plan, k)
    yield (
        "plain Tantivy call with a category as condition",
        lambda plan: _call(everything, plan, k, plan.category),
    )


def bm25s_searches(entries: list[Entry], k: int) -> Iterator[tuple[str, Search]]:
    """Yield searches of one bm25s index over everything, and of one a category."""
    import bm25s

    def build(some: list[Entry]) -> Search:
        retriever = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        retriever.index([query_terms(document(entry)) for entry in some], show_progress=False)

        def search(plan: Plan) -> list[str]:
            tokens = [query_terms(plan_text(plan))]
            found, _ = retriever.retrieve(tokens, k=min(k, len(some)), show_progress=False, n_threads=0)
            return [some[number].id for number in found[0]]

        return search

    everything = build(entries)
    parts = {category: build(some) for category, some in by_category(entries).items()}
    yield "bm25s in everything", everything
    yield "bm25s in a category", lambda plan: parts[plan.category](plan)


def by_category(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Return the entries of each category that has any."""
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        parts.setdefault(entry.plan.category, []).append(entry)
    return parts


def _index(entries: list[Entry]) -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("category", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", tokenizer_name="plan", index_option="freq")
    index = tantivy.Index(builder.build())
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (tantivy.Filter.remove_long(40), tantivy.Filter.lowercase()):
        analyzer = analyzer.filter(step)
    for step in (tantivy.Filter.stopword("english"), tantivy.Filter.stemmer("english")):
        analyzer = analyzer.filter(step)
    index.register_tokenizer("plan", analyzer.build())
    writer = index.writer(heap_size=200_000_000, num_threads=1)
    for entry in entries:
        writer.add_document(tantivy.Document(id=entry.id, category=entry.plan.category, text=document(entry)))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return index


def _call(index: Any, plan: Plan, k: int, category: str | None = None) -> list[str]:
    schema, searcher = index.schema, index.searcher()
    clauses = [
        (
            tantivy.Occur.Should,
            tantivy.Query.boost_query(tantivy.Query.term_query(schema, "text", term), float(count)),
        )
        for term, count in Counter(query_terms(plan_text(plan))).items()
    ]
    if category is not None:
        condition = tantivy.Query.term_query(schema, "category", category)
        clauses.append((tantivy.Occur.Must, tantivy.Query.const_score_query(condition, 0.0)))
    hits = searcher.search(tantivy.Query.boolean_query(clauses), k).hits
    return [searcher.doc(address)["id"][0] for _, address in hits]
