from collections import Counter
from dataclasses import fields
from types import SimpleNamespace

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan
from export.own_no_task import no_task_requirements
from export.own_variations import ENGLISH_SUBJECTS, GERMAN_SUBJECTS
from tests.benchmarks.strangers import NO_TASK, Sentence, answers_of, has_fact, read_sentences, table_rows

SENTENCES = read_sentences()
PLAN = Plan(
    category="Image Classification",
    dataset_input="(batch_size, 64, 64, 3), RGB images",
    dataset_output="(batch_size, 10)",
    preprocess="",
    layers=("ResNet50(include_top=False)", "Dense(10, activation='softmax')"),
    optimizer="adam",
    epochs=20,
)


class OnePlan:
    """Answer everything with one plan and a confidence that is the requirement's length in tenths."""

    def plan(self, requirement, dataset, layer_style):
        return SimpleNamespace(plan=PLAN, confidence={"category": len(requirement) / 10})


def test_the_trial_covers_all_categories_and_kinds():
    assert {name for sentence in SENTENCES for name in sentence.categories} == set(CATEGORIES)
    kinds = Counter(sentence.kind for sentence in SENTENCES)
    assert set(kinds) == {"short", "typo", "german", "pytorch", "several", "facts", "long", NO_TASK}
    assert kinds[NO_TASK] >= 40 and sum(kinds.values()) - kinds[NO_TASK] >= 120
    assert len({sentence.id for sentence in SENTENCES}) == len(SENTENCES)
    known = {field.name for field in fields(Plan)} | {"input_has", "output_has", "layers_have"}
    for sentence in SENTENCES:
        assert bool(sentence.categories) == (sentence.kind != NO_TASK) and set(sentence.facts) <= known


def test_no_sentence_of_the_trial_is_trained_on():
    trained = {text.lower().rstrip(".?") for text in no_task_requirements(5000, seed=1)}
    for subjects in (*ENGLISH_SUBJECTS.values(), *GERMAN_SUBJECTS.values()):
        for template in (*subjects.short, *subjects.tasks):
            trained |= {template.format(noun).lower() for noun in subjects.nouns}
    assert not trained & {sentence.requirement.lower().rstrip(".?") for sentence in SENTENCES}


def test_facts_are_equal_or_part_of_a_text():
    assert has_fact(PLAN, "epochs", 20) and not has_fact(PLAN, "epochs", 21)
    assert has_fact(PLAN, "input_has", "64, 64") and not has_fact(PLAN, "output_has", "64")
    assert has_fact(PLAN, "layers_have", "resnet50")


def test_the_table_counts_by_kind():
    answers = answers_of(
        OnePlan(),
        [
            Sentence("a", "short", "en", "bicycles", "", ("Image Classification",)),
            Sentence(
                "b", "short", "en", "rain", "", ("Time Series Forecasting",), {"epochs": 20, "loss": "x"}
            ),
            Sentence("c", NO_TASK, "en", "hi"),
        ],
    )
    short, nothing, tasks = table_rows(answers)
    assert short == {
        "kind": "short",
        "sentences": 2,
        "category": 0.5,
        "facts": 0.5,
        "confidence": 0.6,
        "unsure": 0.5,
    }
    assert (
        nothing["category"] is None and nothing["unsure"] == 1.0 and tasks == {**short, "kind": "all tasks"}
    )
