"""What a class of the code is, told by its bases and its body: a model, a module, a layer, or neither."""

import ast
import re

from dlcodegen_local.plan.extraction_torch_names import translate_layer
from dlcodegen_local.plan.extraction_values import ClassValue, Dotted, Layer, Symbol, Value

_MODEL_BASE = re.compile(r"(?:^|\.)(?:Model|Functional|Sequential)$")
_TORCH_BASE = re.compile(
    r"^(?:torch\.)?nn\.(?:modules\.\w+\.)?(?:Module|Sequential)$|(?:^|\.)(?:LightningModule|MessagePassing)$|"
    r"^transformers\.(?:\w*PreTrainedModel|PyTorchModelHubMixin)$|^torchvision\.models\.\w+"
)
_LAYER_BASE = re.compile(r"(?:^|\.)layers\.|(?:^|\.)Layer$")
_TORCH_LAYERS = (
    "Linear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "BatchNorm2d",
    "LayerNorm",
    "Embedding",
)


def class_kind(bases: tuple[Value, ...], has_torch_star: bool) -> str:
    """Return the kind of a class with these bases: "model", "torch" for a module, "layer" or ""."""
    for base in bases:
        if isinstance(base, ClassValue) and base.kind:
            return base.kind
        path = base.path if isinstance(base, Dotted) else base.text if isinstance(base, Symbol) else ""
        if _TORCH_BASE.search(path) or (path == "Module" and has_torch_star):
            return "torch"
        if path.startswith("torch.nn.") and path.rsplit(".", 1)[-1] in _TORCH_LAYERS:
            return "layer"
        if _MODEL_BASE.search(path):
            return "model"
        if _LAYER_BASE.search(path):
            return "layer"
    return ""


def own_layer(cls: ClassValue, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Layer:
    """Return a layer of the code's own; one of PyTorch's with a new name and nothing else is that layer."""
    base = cls.bases[0] if cls.bases else None
    is_torch = isinstance(base, Dotted) and base.path.startswith("torch.")
    made = translate_layer(base.name, args, kwargs) if isinstance(base, Dotted) and is_torch else None
    layer = made[0] if made and "__init__" not in cls.attributes else Layer(cls.name, args, kwargs)
    layer.is_torch = is_torch
    return layer


def base_names(cls: ClassValue) -> str:
    """Return the names of a class's bases, and of theirs, as one text."""
    names = ""
    waiting: list[Value] = list(cls.bases)
    while waiting:
        base = waiting.pop()
        names += f" {base.path if isinstance(base, Dotted) else getattr(base, 'text', '')}"
        waiting.extend(base.bases if isinstance(base, ClassValue) else ())
    return names


def has_own_weights(cls: ClassValue) -> bool:
    """Say whether a module makes weights itself, outside of the modules that it holds."""
    names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(cls.node)}
    return bool(names & {"Parameter", "ParameterList", "register_parameter"})


def is_generator(node: ast.AST) -> bool:
    """Say whether a function yields."""
    return any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(node))


def is_static(node: ast.AST) -> bool:
    """Say whether a method is not bound to its object."""
    return any(ast.unparse(item) == "staticmethod" for item in getattr(node, "decorator_list", ()))
