"""Watch a smoke run from outside the project: the loss of every batch, and whose class was taken for whose.

Runs inside the sandbox, beside `smoke_driver`; imports nothing of ours. Guarantees that a project trains as
it would without being watched: what cannot be seen is left out, and nothing here fails the run.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

MAX_BATCHES, MAX_EPOCHS, MAX_MEASURES, MAX_CLASSES = 500, 100, 24, 50
_MAX_BATCHES_READ = 200
_NEAR = 2e-3  # as near as an accuracy of rounded numbers comes


class Watch:
    """Collect what the frameworks report while a project trains; `facts()` has it as JSON."""

    def __init__(self, modules: Mapping[str, Any]) -> None:
        """Follow the frameworks among the loaded modules."""
        self._losses: list[float] = []
        self._history: dict[str, list[float]] = {}
        if (keras := modules.get("keras")) is not None and hasattr(keras, "Model"):
            self._follow_keras(keras)
        if (torch := modules.get("torch")) is not None and hasattr(torch, "Tensor"):
            self._follow_torch(torch)

    def facts(self) -> dict[str, Any]:
        """Return `batch_losses`, as the framework reports them, and `history`, a value an epoch."""
        seen: dict[str, Any] = {"batch_losses": self._losses[:MAX_BATCHES]} if self._losses else {}
        return {**seen, "history": self._history} if self._history else seen

    def _note_loss(self, value: Any) -> None:
        if len(self._losses) < MAX_BATCHES:
            self._losses.append(float(value))

    def _follow_keras(self, keras: Any) -> None:
        watch, fit = self, keras.Model.fit

        class Follower(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                found = [value for name, value in (logs or {}).items() if "loss" in name]
                if found:
                    watch._note_loss(found[0])

        @functools.wraps(fit)
        def followed(model: Any, *args: Any, **kwargs: Any) -> Any:
            given = kwargs.get("callbacks")
            if len(args) < 6 and (given is None or isinstance(given, list | tuple)):
                kwargs["callbacks"] = [*(given or ()), Follower()]
            result = fit(model, *args, **kwargs)
            watch._note_history(getattr(result, "history", None))
            return result

        keras.Model.fit = followed

    def _note_history(self, history: Any) -> None:
        for name, values in list(history.items())[:MAX_MEASURES] if isinstance(history, Mapping) else ():
            known = self._history.setdefault(str(name)[:100], [])
            known += [float(value) for value in values if isinstance(value, int | float)]
            del known[MAX_EPOCHS:]

    def _follow_torch(self, torch: Any) -> None:
        watch, backward = self, torch.Tensor.backward

        @functools.wraps(backward)
        def followed(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            if tensor.numel() == 1:
                watch._note_loss(tensor.detach())
            return backward(tensor, *args, **kwargs)

        torch.Tensor.backward = followed


def count_confusion(prediction: Any, parts: Any, metrics: Mapping[str, float]) -> list[list[int]] | None:
    """Count items of class i (row) taken for class j (column), the last of the data's parts being the test.

    None where nothing of the data fits, or where the counts have not the accuracy that the project reports.
    """
    import numpy as np

    reported = [value for name, value in metrics.items() if "acc" in name.lower()]
    found = _classes(np.asarray(prediction))
    if found is None or not reported:
        return None
    answers, count = found
    for labels in _labels(parts, len(answers)):
        truth = _label_classes(labels, count)
        if truth is None:
            continue
        right = float((truth == answers).mean())
        if any(abs(right - value) <= _NEAR for value in reported):
            matrix = np.zeros((count, count), dtype=int)
            np.add.at(matrix, (truth, answers), 1)
            rows: list[list[int]] = matrix.tolist()
            return rows
    return None


def _classes(prediction: Any) -> tuple[Any, int] | None:
    """Return the class of every item and how many classes there are; None for what is no class."""
    if prediction.ndim == 2 and 2 <= prediction.shape[1] <= MAX_CLASSES and prediction.dtype.kind == "f":
        return prediction.argmax(axis=1), prediction.shape[1]
    flat = prediction.reshape(-1)
    if prediction.ndim not in (1, 2) or len(flat) != len(prediction) or not len(flat):
        return None
    if flat.dtype.kind in "iub" and flat.min() >= 0 and flat.max() < MAX_CLASSES:
        return flat.astype(int), max(2, int(flat.max()) + 1)
    if flat.dtype.kind == "f" and flat.min() >= 0 and flat.max() <= 1:
        return (flat > 0.5).astype(int), 2
    return None


def _label_classes(labels: Any, count: int) -> Any:
    """Return the class numbers that an array holds, bare or one-hot; None for anything else."""
    import numpy as np

    if labels.ndim == 2 and labels.shape[1] == count and count > 1:
        is_one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
        return labels.argmax(axis=1) if is_one_hot else None
    flat = labels.reshape(-1)
    if len(flat) != len(labels) or flat.dtype.kind not in "iubf" or not np.isfinite(flat).all():
        return None
    whole = flat.astype(int)
    return whole if (whole == flat).all() and whole.min() >= 0 and whole.max() < count else None


def _labels(parts: Any, n_items: int) -> Iterator[Any]:
    """Yield the arrays that could be the labels of so many items, those of the test part first."""
    for array in _arrays(parts):
        if array.ndim in (1, 2) and array.shape[0] == n_items:
            yield array


def _arrays(part: Any) -> Iterator[Any]:
    import numpy as np

    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, list | tuple) and part and not isinstance(part[0], int | float | str):
        if all(hasattr(item, "shape") for item in part):
            yield from (np.asarray(item) for item in part)
        else:
            for item in reversed(part):
                yield from _arrays(item)
    elif hasattr(part, "shape"):
        yield np.asarray(part)
    elif hasattr(part, "__iter__") or hasattr(part, "__getitem__"):
        yield from _batched_labels(part)
        kept = getattr(part, "__dict__", {}).values()  # a dataset that holds its labels whole
        yield from (np.asarray(item) for item in kept if hasattr(item, "__array__"))


def _batched_labels(batches: Any) -> Iterator[Any]:
    """Yield the second element of all batches of a dataset or loader, joined."""
    import numpy as np

    found = []
    for number, batch in enumerate(batches):
        if number >= _MAX_BATCHES_READ or not isinstance(batch, list | tuple) or len(batch) < 2:
            return
        if not hasattr(batch[1], "shape"):
            return
        found.append(np.atleast_1d(np.asarray(batch[1])))
    if found and len({array.ndim for array in found}) == 1:
        yield np.concatenate(found)
