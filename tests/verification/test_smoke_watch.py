"""What is seen of a project that trains: losses as frameworks report them, and who was taken for whom."""

import types

import numpy as np
import pytest

from dlcodegen_local.verification.smoke_watch import MAX_BATCHES, MAX_EPOCHS, Watch, count_confusion

ANSWERS = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
TRUTH = np.array([0, 1, 0, 0])
COUNTS = [[2, 1], [0, 1]]


def keras_like(epochs=2):
    """Return a module that fits as Keras does: callbacks after every batch, a history at the end."""

    class Callback:
        pass

    class Model:
        def fit(self, x=None, *, callbacks=None):
            for number in range(len(x)):
                for callback in callbacks or ():
                    callback.on_train_batch_end(number, {"accuracy": 1.0, "loss": x[number]})
            return types.SimpleNamespace(history={"loss": [x[-1]] * epochs, "odd": ["text"]})

    return types.SimpleNamespace(Model=Model, callbacks=types.SimpleNamespace(Callback=Callback))


def test_keras_training_is_followed():
    keras = keras_like()
    watch = Watch({"keras": keras})
    own = []

    class Own:
        def on_train_batch_end(self, batch, logs):
            own.append(batch)

    result = keras.Model().fit([3.0, 2.0], callbacks=[Own()])
    assert result.history["loss"] == [2.0, 2.0] and own == [0, 1], "the project's own run is as it was"
    assert watch.facts() == {"batch_losses": [3.0, 2.0], "history": {"loss": [2.0, 2.0], "odd": []}}


def test_what_is_kept_is_bounded():
    keras = keras_like(epochs=1000)
    watch = Watch({"keras": keras})
    keras.Model().fit([1.0] * 2000)
    facts = watch.facts()
    assert len(facts["batch_losses"]) == MAX_BATCHES and len(facts["history"]["loss"]) == MAX_EPOCHS


def test_torch_training_is_followed():
    class Tensor:
        def __init__(self, *values):
            self.values, self.is_done = values, False

        def numel(self):
            return len(self.values)

        def detach(self):
            return self.values[0]

        def backward(self, gradient=None):
            self.is_done = True

    watch = Watch({"torch": types.SimpleNamespace(Tensor=Tensor)})
    steps = [Tensor(2.5), Tensor(1.0, 2.0), Tensor(1.5)]
    for step in steps:
        step.backward()
    assert all(step.is_done for step in steps)
    assert watch.facts() == {"batch_losses": [2.5, 1.5]}, "a gradient of many numbers has no loss"


def test_without_a_framework_nothing_is_seen():
    assert Watch({}).facts() == {} == Watch({"keras": types.ModuleType("keras")}).facts()


@pytest.mark.parametrize(
    "parts",
    [
        (("x", "y"), ("x", "y"), (np.zeros((4, 3)), TRUTH)),
        (np.zeros((9, 3)), np.zeros(9), np.zeros((4, 3)), TRUTH),
        {"train": (np.zeros((9, 3)), np.zeros(9)), "test": (np.zeros((4, 3)), TRUTH[:, None])},
        ([], (np.zeros((4, 3)), np.eye(2)[TRUTH])),
        ([], types.SimpleNamespace(), iter([(np.zeros((3, 2)), TRUTH[:3]), (np.zeros((1, 2)), TRUTH[3:])])),
        ((np.zeros((4, 3)), TRUTH.astype("float32")),),
    ],
    ids=["pairs", "flat", "dict", "one-hot", "batches", "floats"],
)
def test_labels_are_found_in_the_forms_that_data_has(parts):
    assert count_confusion(ANSWERS, parts, {"accuracy": 0.75}) == COUNTS


@pytest.mark.parametrize("answers", [ANSWERS[:, 1], ANSWERS[:, 1:], ANSWERS.argmax(axis=1)])
def test_answers_of_every_form_are_classes(answers):
    assert count_confusion(answers, [(np.zeros((4, 3)), TRUTH)], {"test_acc": 0.75}) == COUNTS


@pytest.mark.parametrize(
    ("answers", "truth", "metrics"),
    [
        (ANSWERS, TRUTH, {"accuracy": 0.5}),
        (ANSWERS, TRUTH, {"loss": 0.75}),
        (ANSWERS, TRUTH + 5, {"accuracy": 0.75}),
        (ANSWERS, TRUTH[:3], {"accuracy": 0.75}),
        (ANSWERS, np.array([[1, 1], [0, 1], [1, 0], [1, 0]]), {"accuracy": 0.75}),
        (np.zeros((4, 2, 2)), TRUTH, {"accuracy": 0.75}),
        (np.array([3.5, 1.0, 2.0, 0.0]), TRUTH, {"accuracy": 0.75}),
        (np.array(0.5), TRUTH, {"accuracy": 0.75}),
    ],
    ids=[
        "other-accuracy",
        "no-accuracy",
        "other-labels",
        "other-length",
        "several-labels",
        "maps",
        "numbers",
        "scalar",
    ],
)
def test_what_does_not_fit_is_not_counted(answers, truth, metrics):
    assert count_confusion(answers, [(np.zeros((len(truth), 3)), truth)], metrics) is None


def test_data_without_an_end_is_given_up():
    def endless():
        while True:
            yield np.zeros((2, 3)), np.zeros(2, dtype=int)

    assert count_confusion(ANSWERS, [endless()], {"accuracy": 0.75}) is None
