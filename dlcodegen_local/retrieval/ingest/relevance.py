"""Is it deep learning? Decided from imports, and from what builds or trains a model."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_ROOTS = {
    "keras": (
        *("keras", "tf_keras", "keras_cv", "keras_nlp", "keras_hub", "autokeras"),
        *("tensorflow", "tensorflow_hub", "tensorflow_addons"),
    ),
    "torch": (
        *("torch", "torchvision", "torchaudio", "torchtext", "torch_geometric", "timm", "fastai"),
        *("lightning", "pytorch_lightning", "lightning_fabric", "ignite", "accelerate"),
    ),
}
_FRAMEWORK_OF = {root: framework for framework, roots in _ROOTS.items() for root in roots}
_UNREAD = {
    "jax": "JAX",
    "flax": "JAX",
    "haiku": "JAX",
    "paddle": "Paddle",
    "mxnet": "MXNet",
    "chainer": "Chainer",
}
_MODEL_BASES = {
    "keras": frozenset({"Model", "Sequential", "Functional", "Layer"}),
    "torch": frozenset({"Module", "LightningModule", "Sequential"}),
}
_BUILDERS = {
    "keras": frozenset({"Sequential", "Model", "Functional"}),
    "torch": frozenset({"Sequential", "ModuleList", "ModuleDict"}),
}
_TRAINERS = {
    "keras": frozenset({"fit", "fit_generator", "train_on_batch", "apply_gradients", "GradientTape"}),
    "torch": frozenset(
        [
            *("backward", "Trainer", "zero_grad", "manual_backward"),
            *("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "LBFGS"),
        ]
    ),
}
_SESSIONS = frozenset({"Session", "placeholder", "InteractiveSession"})


@dataclass(frozen=True)
class Relevance:
    """Say which framework a model is built or trained with; `reason` says why none is, else ""."""

    framework: str
    reason: str = ""


@dataclass(frozen=True)
class Names:
    """Hold the roots of a code's imports, the last names of what it calls, and of its classes' bases."""

    imports: frozenset[str]
    calls: frozenset[str]
    bases: frozenset[str]

    @property
    def frameworks(self) -> list[str]:
        """The frameworks that are imported, in their order."""
        return sorted({_FRAMEWORK_OF[root] for root in self.imports if root in _FRAMEWORK_OF})


def why_foreign(names: Names) -> str:
    """Return why code uses none of the frameworks, "" where it uses one."""
    if names.frameworks:
        return ""
    others = sorted({_UNREAD[root] for root in names.imports if root in _UNREAD})
    return (
        f"uses {others[0]}, which is not read" if others else "imports neither Keras, TensorFlow nor PyTorch"
    )


def judge(names: Names, num_layers: int) -> Relevance:
    """Return the framework of code that builds or trains a model, or why it does neither.

    `num_layers` is how many layers its plan has.
    """
    if reason := why_foreign(names):
        return Relevance("", reason)
    scores = {framework: _score(framework, names) for framework in names.frameworks}
    best = max(scores, key=lambda framework: (scores[framework], framework == "keras"))
    if best == "keras" and num_layers == 0 and names.calls & _SESSIONS:
        return Relevance("", "is TensorFlow 1 code (sessions) without a Keras model")
    if scores[best] == 0 and num_layers == 0:
        return Relevance("", "neither builds nor trains a model")
    return Relevance(best)


def _score(framework: str, names: Names) -> int:
    builds = len(names.calls & _BUILDERS[framework]) + 2 * len(names.bases & _MODEL_BASES[framework])
    return builds + len(names.calls & _TRAINERS[framework])


def names_of(tree: ast.Module) -> Names:
    """Return the names that tell what code is about."""
    imports: set[str] = set()
    calls: set[str] = set()
    bases: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                imports.update(alias.name.partition(".")[0] for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0):
                imports.add(module.partition(".")[0])
            case ast.Call(func=function):
                calls.update(_last_name(function))
            case ast.ClassDef(bases=classes):
                for base in classes:
                    bases.update(_last_name(base))
    return Names(frozenset(imports), frozenset(calls), frozenset(bases))


def _last_name(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
