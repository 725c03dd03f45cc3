"""What the image branch of a captioner reads: pixels, or features that another network makes of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcodegen_local.compiler.captioning_sections import EXTRACTOR
from dlcodegen_local.compiler.catalog import BASE_FACTS
from dlcodegen_local.compiler.chain import Item
from dlcodegen_local.compiler.program import Setting
from dlcodegen_local.compiler.reading import input_from_layers, read_shapes
from dlcodegen_local.plan.schema import Plan

_BASES_BY_CHANNELS = {
    512: "VGG16",
    1024: "DenseNet121",
    1280: "EfficientNetB0",
    1536: "InceptionResNetV2",
    1920: "DenseNet201",
    2048: "ResNet50",
}
_TOP_FEATURES = 4096  # the width of VGG's dense layers
_FEATURE_WORDS = re.compile(r"features?\b|extract|vgg|resnet|inception|xception|densenet|vit\b")


@dataclass(frozen=True)
class ImageEntry:
    """Hold the shape that enters the image branch, and the network that makes it ("" where pixels enter)."""

    shape: tuple[int, ...]
    side: int
    base: str = ""
    deviations: tuple[str, ...] = ()

    @property
    def features(self) -> bool:
        """True where features enter, not pixels."""
        return len(self.shape) == 1 or self.shape[-1] > 4

    @property
    def shape_code(self) -> str:
        """Source text of the shape."""
        if not self.features:
            return f"(config.image_height, config.image_width, {self.shape[2]})"
        return "(config.feature_size,)" if len(self.shape) == 1 else str(self.shape)

    @property
    def values(self) -> str:
        """What `load_data` gives for an image, in words."""
        return "image features" if self.features else "images"

    @property
    def read_code(self) -> str:
        """Source text that reads all images."""
        if self.features:
            return "extract_features(paths, config)"
        return "np.stack([read_image(path, config) for path in paths])"

    def settings(self) -> list[Setting]:
        """Return the fields of Config."""
        height, width = (self.side, self.side) if self.features else self.shape[:2]
        settings = [Setting("image_height", height), Setting("image_width", width)]
        settings += [Setting("feature_size", self.shape[0])] if len(self.shape) == 1 else []
        return [
            *settings,
            Setting("pretrained_weights", None, "a local weights file for the convolutional network"),
        ]

    def code(self) -> str:
        """Return `build_extractor` and `extract_features`, "" where pixels enter."""
        if not self.features:
            return ""
        return EXTRACTOR.replace("$extractor", "\n".join(f"    {line}" for line in self._extractor()))

    def _extractor(self) -> list[str]:
        """Return the lines that build the network from images to features."""
        shape = "(config.image_height, config.image_width, 3)"
        start = f"keras.applications.{self.base}(\n    weights=config.pretrained_weights, "
        if self.base in ("VGG16", "VGG19") and self.shape == (_TOP_FEATURES,):
            features = 'return keras.Model(base.input, base.get_layer("fc2").output)'
            lines = f"base = {start}input_shape={shape}\n)\n{features}"
        elif self.base and len(self.shape) == 1:
            lines = f'return {start}include_top=False, pooling="avg", input_shape={shape}\n)'
        elif self.base:
            lines = f"return {start}include_top=False, input_shape={shape}\n)"
        elif len(self.shape) == 1:
            lines = _small_network(
                shape, "layers.GlobalAveragePooling2D(),\n        layers.Dense(config.feature_size),"
            )
        else:
            height, width, channels = self.shape
            lines = _small_network(
                shape, f"layers.Resizing({height}, {width}),\n        layers.Conv2D({channels}, 1),"
            )
        return lines.split("\n")


def _small_network(shape: str, ending: str) -> str:
    return (
        "return keras.Sequential(\n    [\n"
        f"        layers.Input(shape={shape}),\n"
        '        layers.Conv2D(32, 3, strides=4, activation="relu"),\n'
        '        layers.Conv2D(64, 3, strides=4, activation="relu"),\n'
        f"        {ending}\n    ]\n)"
    )


def read_entry(plan: Plan, items: Sequence[Item]) -> ImageEntry:
    """Return what enters the image branch."""
    stated = input_from_layers(list(items)) or _size_in_prose(items)
    network = any(item.name in BASE_FACTS or item.name.startswith("Conv2D") for item in items)
    sizes = tuple(size or 1 for size in stated) if stated else None
    pixels = _pixels(plan)
    if sizes and len(sizes) == 3 and sizes[2] <= 4:
        return ImageEntry(sizes, max(sizes[:2]))
    if network:
        side = (
            299
            if any(item.name in ("InceptionV3", "Xception", "InceptionResNetV2") for item in items)
            else 224
        )
        return ImageEntry(pixels or (side, side, 3), side)
    if sizes and len(sizes) == 3:
        return _map_entry(plan, sizes)
    if any(item.name in ("AveragePooling2D", "MaxPooling2D") for item in items):
        return _map_entry(plan, (8, 8, 2048))
    vectors = [
        shape[0] for shape in read_shapes(plan.dataset_input) if len(shape) == 1 and (shape[0] or 0) >= 256
    ]
    size = (
        sizes[0]
        if sizes and len(sizes) == 1 and sizes[0] > 8
        else (vectors or [None])[0] or _usual_size(plan)
    )
    base = _named_base(plan, size) or _BASES_BY_CHANNELS.get(size, "")
    return ImageEntry((size,), 224 if base else 64, base, _note(base))


def _pixels(plan: Plan) -> tuple[int, ...] | None:
    for shape in read_shapes(plan.dataset_input):
        if len(shape) == 4 and shape[0] is not None:
            shape = shape[1:]
        if len(shape) == 3 and all(shape) and (shape[2] or 9) <= 4 and 16 <= (shape[0] or 0) <= 512:
            return tuple(size or 1 for size in shape)
    return None


def _size_in_prose(items: Sequence[Item]) -> tuple[int | None, ...] | None:
    """Return the feature size of "Input layer for image features (4096)"."""
    for item in items[:2]:
        match = re.search(r"\b(\d{3,4})\b", item.text) if item.name == "Input" else None
        if match:
            return (int(match.group(1)),)
    return None


def _words(plan: Plan) -> str:
    return f"{plan.dataset_input} {plan.preprocess} {' '.join(plan.layers)}".lower()


def _usual_size(plan: Plan) -> int:
    return _TOP_FEATURES if "vgg" in _words(plan) else 2048


def _named_base(plan: Plan, size: int) -> str:
    """Return the network that the plan names, if its features have this size."""
    words = re.sub(r"[^a-z0-9]", "", _words(plan))
    if size == _TOP_FEATURES:
        return "VGG19" if "vgg19" in words else "VGG16"
    named = [name for name in sorted(BASE_FACTS, key=len, reverse=True) if name.lower() in words]
    return next((name for name in named if BASE_FACTS[name][2] == size), "")


def _map_entry(plan: Plan, sizes: tuple[int, ...]) -> ImageEntry:
    """Return an entry for a map of features; its network halves the image five times."""
    channels = sizes[2]
    base = _named_base(plan, channels) or _BASES_BY_CHANNELS.get(channels, "")
    if (
        base in ("InceptionV3", "Xception", "InceptionResNetV2")
        or not base
        or sizes[0] != sizes[1]
        or sizes[0] > 10
    ):
        base = "ResNet50" if channels == 2048 and sizes[0] == sizes[1] <= 10 else ""
    return ImageEntry(sizes, 32 * sizes[0] if base else 64, base, _note(base))


def _note(base: str) -> tuple[str, ...]:
    if base:
        return (
            f"image features come from {base} with random weights unless pretrained_weights names a file",
        )
    return ("image features come from a small network with random weights",)
