from export.own_no_task import no_task_requirements
from export.own_variations import ENGLISH_SUBJECTS


def test_requests_are_many_different_and_seeded():
    texts = no_task_requirements(3000, seed=1)
    assert len(set(texts)) == 3000 and all(text.strip() for text in texts)
    assert texts == no_task_requirements(3000, seed=1) != no_task_requirements(3000, seed=2)
    assert texts[:100] == no_task_requirements(100, seed=1)
    assert sum("ich" in text.lower().split() for text in texts) > 50


def test_no_request_is_a_short_requirement_of_a_task():
    tasks = {
        template.format(noun).lower()
        for subjects in ENGLISH_SUBJECTS.values()
        for template in (*subjects.short, *subjects.tasks)
        for noun in subjects.nouns
    }
    assert not tasks & {text.lower().rstrip("?.") for text in no_task_requirements(3000, seed=4)}
