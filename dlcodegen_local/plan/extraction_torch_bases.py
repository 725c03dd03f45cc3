"""Pretrained architectures of PyTorch's libraries: each is one layer of a plan, by its well-known name."""

import re

from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import Instance, Layer, Model, Value

_FAMILIES = {
    "resnet": "ResNet",
    "resnext": "ResNeXt",
    "resnetv2": "ResNetV2",
    "wide_resnet": "WideResNet",
    "vgg": "VGG",
    "alexnet": "AlexNet",
    "densenet": "DenseNet",
    "inception_v": "InceptionV",
    "googlenet": "GoogLeNet",
    "squeezenet": "SqueezeNet",
    "shufflenet_v": "ShuffleNetV",
    "mobilenet_v": "MobileNetV",
    "mobilenetv": "MobileNetV",
    "mnasnet": "MNASNet",
    "efficientnet_v": "EfficientNetV",
    "tf_efficientnet_b": "EfficientNetB",
    "efficientnet_b": "EfficientNetB",
    "convnext_": "ConvNeXt",
    "regnet_": "RegNet",
    "vit_": "ViT",
    "swin_": "Swin",
    "xception": "Xception",
    "deeplabv": "DeepLabV",
    "fcn_": "FCN",
    "lraspp_": "LRASPP",
    "fasterrcnn_": "FasterRCNN",
    "maskrcnn_": "MaskRCNN",
    "retinanet_": "RetinaNet",
    "ssd": "SSD",
    "r3d_": "R3D",
    "mc3_": "MC3",
    "r2plus1d_": "R2Plus1D",
}
_KEPT_OPTIONS = ("weights", "pretrained", "num_classes", "in_channels", "classes", "encoder_name")
_HEADS = re.compile(
    r"For(?:SequenceClassification|TokenClassification|QuestionAnswering|CausalLM|MaskedLM|Seq2SeqLM|"
    r"ConditionalGeneration|ImageClassification|AudioClassification|MultipleChoice|SemanticSegmentation)$|LMHeadModel$"
)
# What a module can do, against what it is made of.
_METHOD_NAMES = """
add_module append apply backward bfloat16 buffers children compile cpu cuda double eval extend extra_repr
fit float forward freeze generate get_buffer get_parameter get_submodule half insert load_state_dict log
log_dict manual_backward modules named_buffers named_children named_modules named_parameters optimizers
parameters push_to_hub register_buffer register_forward_hook register_module register_parameter
requires_grad_ save_hyperparameters save_pretrained share_memory state_dict to to_empty train type unfreeze
zero_grad
"""
MODULE_METHODS = frozenset(_METHOD_NAMES.split())


def torch_base(trace: Trace, path: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Model | None:
    """Return the model of a pretrained architecture, None where a path names no such one."""
    module, _, name = path.rpartition(".")
    if module.startswith("torchvision.models") and (name == name.lower() or name[:1].isupper()):
        if name.endswith("_Weights") or name in ("get_model_weights", "get_weight"):
            return None
        if name == "get_model":
            return _named(trace, args, kwargs)
        return _base(trace, _class_name(name), (), kwargs)
    if path in ("timm.create_model", "timm.models.create_model"):
        return _named(trace, args, kwargs)
    if path == "torch.hub.load":
        return _named(trace, args[1:], kwargs)
    if module in ("segmentation_models_pytorch", "smp") and name[:1].isupper():
        return _base(trace, name, args, kwargs)
    owner = module.rsplit(".", 1)[-1]
    is_module = name in ("from_pretrained", "from_config") and re.search(r"Model(?:For\w+)?$|For[A-Z]", owner)
    if is_module and module.startswith("transformers"):
        return _base(trace, owner, args[:1] if name == "from_pretrained" else (), kwargs)
    if owner == "transformers" and re.fullmatch(r"(?!Auto|TF)\w*(?:Model|For[A-Z]\w+)", name):
        return _base(trace, name, (), {})
    if owner == "EfficientNet":
        return _base(trace, "EfficientNet", args[:1], kwargs)
    return None


def head_loss(layer: Layer) -> str:
    """Return the loss that a pretrained model with a head computes itself, "" for any other layer."""
    return "sparse_categorical_crossentropy" if layer.is_base and _HEADS.search(layer.name) else ""


def _named(trace: Trace, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Model:
    name = kwargs.get("model_name", kwargs.get("model", args[0] if args else ""))
    return _base(trace, _class_name(name) if isinstance(name, str) else "Backbone", (), kwargs)


def _base(trace: Trace, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Model:
    kept = {key: value for key, value in kwargs.items() if key in _KEPT_OPTIONS}
    layer = trace.new_layer(Layer(name, args, kept, is_base=True, is_torch=True))
    return trace.new_model(Model(parts=[layer], is_torch=True, instance=Instance(None), base=layer))


def _class_name(name: str) -> str:
    """Write a builder's name as that of its class: "efficientnet_b0" -> "EfficientNetB0"."""
    if name[:1].isupper():
        return name
    plain = name.rsplit("/", 1)[-1].split(".")[0]
    for prefix in sorted(_FAMILIES, key=len, reverse=True):
        if plain.startswith(prefix):
            rest = plain.removeprefix(prefix)
            depth = rest.split("_")[0] if prefix in ("resnext", "wide_resnet") else rest
            return _FAMILIES[prefix] + "".join(part[:1].upper() + part[1:] for part in depth.split("_"))
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_-]", plain))
