"""Origins of segments in words and colours."""

from dlcodegen_local.run_page.origins import Origins, is_from, written_after


def test_every_kind_of_origin_has_its_words_and_colour():
    origins = Origins(["s1", "s2"])
    given = {
        "model": "model",
        "data": "sample:s2",
        "config": "sample:s1+plan",
        "train": "template:s2+plan",
        "imports": "computed",
        "main": "compiler",
        "evaluate": "compiler, sample:s1",
        "predict": "something new",
    }
    found = {name: (origins.of(given, name).label, origins.of(given, name).css) for name in given}
    assert found == {
        "model": ("written by the model", "o-model"),
        "data": ("sample s2", "o-s2"),
        "config": ("sample s1, plan values put in", "o-s1 planned"),
        "train": ("template of sample s2, plan values put in", "o-s2 planned"),
        "imports": ("computed from names", "o-computed"),
        "main": ("plan compiler", "o-compiler"),
        "evaluate": ("plan compiler and sample s1", "o-compiler several"),
        "predict": ("something new", "o-none"),
    }
    assert origins.legend().count("<li>") == len(given)
    assert origins.of({}, "data").label == "origin not recorded"
    assert origins.of({"*": "model"}, "data").label == "written by the model"


def test_samples_that_were_not_retrieved_get_a_colour_too():
    origins = Origins(["s1"])
    assert origins.of({"data": "sample:other"}, "data").css == "o-s2"
    assert Origins([]).of({"data": "sample:a:b"}, "data").label == "sample a:b"


def test_a_section_is_from_a_sample_in_every_form():
    assert (
        is_from("sample:s1", "s1")
        and is_from("template:s1+plan", "s1")
        and is_from("compiler, sample:s1", "s1")
    )
    assert not is_from("sample:s11", "s1") and not is_from("model", "s1") and not is_from("", "s1")


def test_what_the_model_wrote_says_after_which_sample():
    assert written_after({"model": "sample:s1, sample:s2"}, "model", ("s1", "s2")) == "after s1, s2"
    assert written_after({"*": "sample:s1"}, "model", ("s1",)) == "after s1"
    assert written_after({"model": "compiler"}, "model", ("s1",)) == ""
