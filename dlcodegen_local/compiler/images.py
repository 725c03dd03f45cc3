"""What the image families share: size and channels, reading and scaling of pixels, augmentation."""

import math
import re
from dataclasses import dataclass

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.catalog import BASE_FACTS
from dlcodegen_local.compiler.chain import Item
from dlcodegen_local.compiler.program import Setting
from dlcodegen_local.compiler.reading import input_from_layers, read_augmentation, read_shapes
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_SIDE = 128
BASE_SIDE = 224
LARGEST_SIDE = 512
CAPPED_SIDE = 256
WRITE_IMAGE = '''
def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write pixels in [0, 255] as a PNG file."""
    tf.io.write_file(str(path), tf.io.encode_png(np.clip(pixels, 0, 255).astype("uint8")))
'''
READ_IMAGE = '''
def read_image(path, config: Config):
    """Return the image of a file, resized and scaled to $range."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=config.channels, expand_animations=False)
    image = tf.image.resize(image, $size)
    return $scaled
'''
_AUGMENT = '''
def make_augmentation(config: Config) -> keras.Sequential:
    """Return the random changes that training images go through."""
    return keras.Sequential(
        [
            $layers
        ],
        name="augmentation",
    )
'''


@dataclass(frozen=True)
class ImageFormat:
    """Hold height, width and channels with the settings and source texts that name them."""

    height: int
    width: int
    channels: int
    deviation: str = ""

    @property
    def square(self) -> bool:
        """True where one setting is enough."""
        return self.height == self.width

    @property
    def size_code(self) -> str:
        """Source text of (height, width)."""
        name = (
            "config.image_size, config.image_size"
            if self.square
            else "config.image_height, config.image_width"
        )
        return f"({name})"

    @property
    def shape_code(self) -> str:
        """Source text of (height, width, channels)."""
        return f"{self.size_code[:-1]}, config.channels)"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.height, self.width, self.channels)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The fields of Config."""
        sides = (
            (Setting("image_size", self.height),)
            if self.square
            else (Setting("image_height", self.height), Setting("image_width", self.width))
        )
        return (*sides, Setting("channels", self.channels))

    @property
    def symbols(self) -> dict[str, Expr]:
        """Names that plans use for these sizes."""
        side = "config.image_size" if self.square else "config.image_height"
        return {
            "channels": Expr("config.channels", self.channels),
            "img_size": Expr(side, self.height),
            "image_size": Expr(side, self.height),
        }


def read_format(plan: Plan, items: list[Item]) -> ImageFormat:
    """Return the image format that layers, input text or preprocessing state, else a usual one."""
    grey = (
        re.search(r"gr[ae]y|\bmnist|monochrome|single channel|1 channel|black and white", _words(plan))
        is not None
    )
    has_base = any(item.name in BASE_FACTS for item in items)
    side = BASE_SIDE if has_base else DEFAULT_SIDE
    stated = input_from_layers(items)
    target = next(
        (item.call.args[0] for item in items[:2] if item.name == "Reshape" and item.call and item.call.args),
        None,
    )
    reshaped = target if isinstance(target, tuple) and all(isinstance(size, int) for size in target) else None
    texts = [*read_shapes(plan.dataset_input), *read_shapes(plan.preprocess)]
    for shape in [*([stated] if stated else []), *([reshaped] if reshaped else []), *texts]:
        if found := _format(shape, side, grey):
            return found
    return ImageFormat(side, side, 1 if grey and not has_base else 3)


def _words(plan: Plan) -> str:
    return f"{plan.dataset_input} {plan.preprocess}".lower()


def _format(shape: tuple[int | None, ...], side: int, grey: bool) -> ImageFormat | None:
    """Read (h, w, c), (c, h, w), (h, w) or a flattened square image."""
    default = 1 if grey else 3
    if len(shape) == 4:
        shape = shape[1:]
    if len(shape) == 3:
        if shape[0] in (1, 3) and (shape[2] or 0) > 4:
            shape = (shape[1], shape[2], shape[0])
        if all(size is None for size in shape[:2]) and shape[2] is None:
            return None
        channels = shape[2] if shape[2] in (1, 3, 4) else default
        return _capped(shape[0] or shape[1] or side, shape[1] or shape[0] or side, channels or default)
    if len(shape) == 2 and shape[0] and shape[1] and min(shape[0], shape[1]) >= 8:
        return _capped(shape[0], shape[1], default)
    if len(shape) == 1 and shape[0] and 64 <= shape[0] <= 65_536:
        root = math.isqrt(shape[0])
        if root * root == shape[0]:
            return _capped(root, root, 1)
    return None


def _capped(height: int, width: int, channels: int) -> ImageFormat | None:
    if min(height, width) < 4:
        return None
    if max(height, width) <= LARGEST_SIDE:
        return ImageFormat(height, width, channels)
    factor = CAPPED_SIDE / max(height, width)
    small = (max(8, round(height * factor)), max(8, round(width * factor)))
    note = f"images of {height}x{width} are scaled to {small[0]}x{small[1]}: --image-size changes it"
    return ImageFormat(*small, channels, note)


def reading_code(plan: Plan, items: list[Item], image: ImageFormat, signed: bool = False) -> str:
    """Return the functions `write_image` and `read_image`; `signed` asks for pixels in [-1, 1]."""
    text = plan.preprocess.lower()
    if any(item.name == "Rescaling" for item in items):
        scaled, limits = 'tf.cast(image, "float32")', "[0, 255]: the network rescales them"
    elif signed or re.search(r"-1,? ?(?:to|and|,)? ?1\b|\[-1", text):
        scaled, limits = "image / 127.5 - 1.0", "[-1, 1]"
    elif re.search(r"per.?image.?standard", text):
        scaled, limits = "tf.image.per_image_standardization(image)", "mean 0, variance 1"
    else:
        scaled, limits = "image / 255.0", "[0, 1]"
    read = fill(READ_IMAGE, range=limits, size=image.size_code, scaled=scaled)
    return f"{WRITE_IMAGE.strip()}\n\n\n{read.strip()}"


def augmentation_code(plan: Plan) -> str:
    """Return `make_augmentation`, empty where the plan asks for none."""
    layers = read_augmentation(plan).layers
    return fill(_AUGMENT, layers="\n".join(f"{layer}," for layer in layers)).strip() if layers else ""
