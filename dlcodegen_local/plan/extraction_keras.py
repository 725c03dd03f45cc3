"""What Keras' names mean when code is read: layers, models, optimizers, losses, metrics, data sets."""

import re

from dlcodegen_local.plan.extraction_shapes import layer_shape
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    MAX_WALK,
    Dotted,
    Layer,
    Model,
    Setting,
    Symbol,
    Tensor,
    Value,
    tensors_in,
    walk,
)

_LAYERS_NAMES = """
Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization Bidirectional
CategoryEncoding CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution2D Convolution2DTranspose
Cropping1D Cropping2D CuDNNGRU CuDNNLSTM Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout
ELU EinsumDense Embedding Flatten GRU GaussianDropout GaussianNoise GlobalAveragePooling1D
GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalMaxPool1D
GlobalMaxPool2D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization Hashing
InputLayer InstanceNormalization IntegerLookup KerasLayer LSTM Lambda LayerNormalization LeakyReLU
LocallyConnected1D Masking MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum
Minimum MultiHeadAttention Multiply Normalization PReLU Permute RNN RandomBrightness RandomContrast
RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom ReLU
RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN Softmax SpatialDropout1D
SpatialDropout2D SpatialDropout3D SpectralNormalization StringLookup Subtract TextVectorization
ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D
WeightNormalization ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
LAYERS = frozenset(_LAYERS_NAMES.split())
_MERGES = {"add", "concatenate", "multiply", "average", "maximum", "minimum", "subtract", "dot"}
_BASES = re.compile(
    r"(?:VGG(?:16|19)|(?:SE)?ResNe[Xt]t?\d+(?:V2)?|ResNet(?:50|101|152)(?:V2)?|Inception(?:ResNet)?V[23]|Xception|"
    r"MobileNet(?:V[23](?:Small|Large)?)?|DenseNet\d+|EfficientNet(?:V2)?[BSML]?\d?|NASNet\w+|ConvNeXt\w+|"
    r"RegNet\w+|CLIPModel|TF\w+Model)"
)
_OPTIMIZERS_NAMES = """
AdaBelief Adadelta Adafactor Adagrad Adam AdamOptimizer AdamW Adamax Ftrl LAMB Lamb Lion Lookahead
LossScaleOptimizer Nadam NovoGrad RMSProp RMSprop RectifiedAdam SGD SWA
"""
_OPTIMIZERS = frozenset(_OPTIMIZERS_NAMES.split())
_SCHEDULES_NAMES = """
CosineDecay CosineDecayRestarts CyclicalLearningRate ExponentialDecay InverseTimeDecay
PiecewiseConstantDecay PolynomialDecay
"""
_SCHEDULES = frozenset(_SCHEDULES_NAMES.split())
_LOSSES = re.compile(
    r"(?:Binary|Categorical|SparseCategorical)(?:Focal)?Crossentropy|SigmoidFocalCrossEntropy|"
    r"Mean(?:Squared|Absolute|AbsolutePercentage|SquaredLogarithmic)Error|Huber|LogCosh|Hinge|SquaredHinge|"
    r"KLDivergence|Poisson|CosineSimilarity|Dice|Tversky|CTC"
)
_METRICS = re.compile(
    r"(?:Binary|Categorical|SparseCategorical|SparseTopKCategorical|TopKCategorical)?Accuracy|AUC|Precision|"
    r"Recall|F1Score|FBetaScore|MeanIoU|IoU|BinaryIoU|OneHotMeanIoU|OneHotIoU|RootMeanSquaredError|R2Score|"
    r"CohenKappa|MatthewsCorrelationCoefficient|Mean"
)
_DATASETS_NAMES = """
TimeseriesGenerator audio_dataset_from_directory image_dataset_from_directory text_dataset_from_directory
timeseries_dataset_from_array
"""
_DATASETS = frozenset(_DATASETS_NAMES.split())
_LOADED = {"clone_model", "multi_gpu_model", "load_model_from"}


def library_call(
    trace: Trace, path: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Return what calling a library's function or class yields; `text` is the call in the code."""
    name = path.rsplit(".", 1)[-1]
    if name == "Input":
        return _input(trace, args, kwargs)
    if name == "Sequential":
        return _sequential(trace, args, kwargs)
    if name in ("Model", "Functional"):
        return _functional(trace, args, kwargs)
    if name in _LOADED and args and isinstance(args[0], Model):
        return args[0]
    if is_base_name(path):
        return trace.new_layer(Layer(name, args, kwargs, is_base=True))
    if setting := _setting(trace, path, name, args, kwargs):
        return setting
    if is_layer_name(path):
        return trace.new_layer(Layer(name, args, kwargs))
    return _function(trace, path, name, args, kwargs, text)


def is_layer_name(path: str) -> bool:
    """Say whether a path names a layer class."""
    module, _, name = path.rpartition(".")
    return name in LAYERS or (".layers" in f".{module}" and name[:1].isupper())


def is_base_name(path: str) -> bool:
    """Say whether a path names a pretrained architecture."""
    module, _, name = path.rpartition(".")
    if name == "from_pretrained" and re.match(r"(?:TF|Flax)", module.rsplit(".", 1)[-1]):
        return True
    if module in ("segmentation_models", "sm", "keras_unet_collection.models") and name[:1].isupper():
        return True
    if name == "from_preset" and "Backbone" in module:
        return True
    return bool(_BASES.fullmatch(name)) or (".applications." in f".{module}." and name[:1].isupper())


def call_layer(trace: Trace, layer: Layer, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Tensor:
    """Return the tensor that a layer puts out, and note its place in the data flow."""
    inputs = tensors_in([*args, *kwargs.values()])
    output = trace.used(layer, *inputs)
    output.shape = layer_shape(layer, [tensor.shape for tensor in inputs])
    return output


def call_model(trace: Trace, model: Model, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
    """Return the tensors that a model puts out when it is used as a layer."""
    inputs = tensors_in([*args, *kwargs.values()])
    if len(model.outputs) > 1:
        return [_with_shape(trace.used(model, *inputs), output.shape) for output in model.outputs]
    shape = model.outputs[0].shape if model.outputs else sequential_shape(model, inputs)
    return _with_shape(trace.used(model, *inputs), shape)


def sequential_shape(model: Model, inputs: list[Tensor]) -> tuple[Value, ...] | None:
    """Follow the shape through the parts of a sequential model, at most `MAX_WALK` of them."""
    shape = inputs[0].shape if inputs else None
    stack: list[Layer | Model] = [model]
    for _ in range(MAX_WALK):
        if not stack:
            return shape
        part = stack.pop()
        if isinstance(part, Model) and part is not model and part.is_torch and part.outputs:
            shape = part.outputs[0].shape
        elif isinstance(part, Model):
            stack.extend(reversed(part.parts))
        elif part.name in ("Input", "InputLayer"):
            shape = part.shape or _declared(part.args, part.kwargs)
        else:
            shape = layer_shape(part, [part.takes if shape is None else shape])
    return None


def parts_of(value: Value) -> list[Layer | Model]:
    """Return the layers and models in a value that stands where Keras takes layers."""
    made = [item.producer if isinstance(item, Tensor) else item for item in walk(value)]
    return [item for item in made if isinstance(item, Layer | Model)]


def _with_shape(tensor: Tensor, shape: tuple[Value, ...] | None) -> Tensor:
    tensor.shape = shape
    return tensor


def _declared(args: tuple[Value, ...], kwargs: dict[str, Value]) -> tuple[Value, ...] | None:
    shape = kwargs.get("shape", kwargs.get("input_shape", args[0] if args else None))
    if isinstance(shape, int):
        return (shape,)
    batch = kwargs.get("batch_shape", kwargs.get("batch_input_shape"))
    if shape is None and isinstance(batch, tuple | list):
        return tuple(batch[1:])
    return tuple(shape) if isinstance(shape, tuple | list) else None


def _input(trace: Trace, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Tensor:
    if isinstance(kwargs.get("tensor"), Tensor):
        return Tensor(parents=(kwargs["tensor"],), shape=kwargs["tensor"].shape)
    shape = _declared(args, kwargs)
    layer = trace.new_layer(Layer("Input", args, kwargs, shape=shape))
    return _with_shape(trace.used(layer), shape)


def _sequential(trace: Trace, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Model:
    value = kwargs.get("layers", args[0] if args else [])
    return trace.new_model(Model(parts=parts_of(value)))


def _functional(trace: Trace, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Model:
    inputs = kwargs.get("inputs", kwargs.get("input", args[0] if args else ()))
    outputs = kwargs.get("outputs", kwargs.get("output", args[1] if len(args) > 1 else ()))
    return trace.new_model(Model(inputs=tuple(tensors_in(inputs)), outputs=tuple(tensors_in(outputs))))


def _setting(
    trace: Trace, path: str, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Setting | Symbol | str | None:
    module = f".{path.rpartition('.')[0]}."
    if (
        name in ("get", "deserialize")
        and args
        and (kind := re.search(r"\.(optimizer|losse?|metric)s\.", module))
    ):
        return _from_config(trace, kind.group(1).removesuffix("e") if kind else "", args[0])
    if name in _SCHEDULES or ".schedules." in module:
        return Setting("schedule", name, args, kwargs)
    if ".optimizers." in module or name in _OPTIMIZERS:
        return _noted(trace, Setting("optimizer", name, args, kwargs))
    if ".metrics." in module and name[:1].isupper() and "sklearn" not in module:
        return _noted(trace, Setting("metric", name, args, kwargs))
    if (".losses." in module and name[:1].isupper()) or _LOSSES.fullmatch(name):
        return _noted(trace, Setting("loss", name, args, kwargs))
    if _METRICS.fullmatch(name) and not re.search(r"sklearn|torchmetrics", module):
        return _noted(trace, Setting("metric", name, args, kwargs))
    if re.search(r"\.(regularizers|initializers|constraints)\.", module) or name in (
        "l2",
        "l1",
        "l1_l2",
        "L2",
    ):
        return Setting("other", name, args, kwargs)
    return None


def _from_config(trace: Trace, kind: str, value: Value) -> Setting | Symbol | str:
    if isinstance(value, dict):
        config = value.get("config")
        name = value.get("class_name")
        arguments = {str(key): item for key, item in config.items()} if isinstance(config, dict) else {}
        if isinstance(name, str):
            return _noted(trace, Setting(kind, name, (), arguments))
    if isinstance(value, str):
        return _noted(trace, Setting(kind, value))
    return value if isinstance(value, Setting) else Symbol(kind)


def _noted(trace: Trace, setting: Setting) -> Setting:
    trace.record(setting.kind, setting)
    return setting


def _function(
    trace: Trace, path: str, name: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    tensors = tensors_in([*args, *kwargs.values()])
    if name in _MERGES and tensors and args and isinstance(args[0], list | tuple) and ".math." not in path:
        layer = trace.new_layer(Layer(name.capitalize(), (), kwargs))
        return call_layer(trace, layer, args, {})
    if ".losses." in path or "ctc" in name:
        trace.record("loss", Setting("loss", name))
    if name in _DATASETS:
        trace.record("batch", Dotted(path), (kwargs.get("batch_size", 128 if "timeseries" in name else 32),))
        trace.record("dataset", Dotted(path), args, kwargs)
    if tensors:
        return Tensor(
            parents=tuple(tensors), shape=tensors[0].shape if name in ("identity", "cast") else None
        )
    return Symbol(text)
