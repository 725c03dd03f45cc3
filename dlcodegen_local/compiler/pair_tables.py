"""Code templates of the data sections for images that come in pairs: image and mask, input and target."""

_PAIRS = '''
def list_pairs(config: Config) -> list[tuple[str, str]]:
    """Return the paths of the pairs, found by their names."""
    first, second = Path(config.data_dir) / "$first", Path(config.data_dir) / "$second"
    if not first.is_dir() or not second.is_dir():
        raise FileNotFoundError(f"{config.data_dir}: expected the folders $first and $second")
    others = {path.stem: path for path in sorted(second.iterdir())}
    return [(str(path), str(others[path.stem])) for path in sorted(first.iterdir()) if path.stem in others]


def make_dataset(pairs: list[tuple[str, str]], config: Config, training: bool) -> tf.data.Dataset:
    """Return batches of $first and $second."""
    inputs, targets = zip(*pairs)
    dataset = tf.data.Dataset.from_tensor_slices((list(inputs), list(targets)))
    if training:
        dataset = dataset.shuffle(len(pairs), seed=config.seed)
    dataset = dataset.map(lambda one, two: (read_image(one, config), $read_second(two, config)))
    $augment
    return dataset.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)


def load_data(config: Config):
    """Return (train, validation, test) datasets, split 70/15/15."""
    if config.synthetic:
        make_synthetic(config)
    pairs = list_pairs(config)
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    first, second = int(0.7 * len(pairs)), int(0.85 * len(pairs))
    parts = order[:first], order[first:second], order[second:]
    return tuple(
        make_dataset([pairs[i] for i in part], config, training=number == 0)
        for number, part in enumerate(parts)
    )
'''
_FLIP = '''
def flip_pair(image, target):
    """Mirror both images of a pair, or none."""
    $flip
'''


def _pairs(first: str, second: str, read_second: str) -> str:
    return (
        _PAIRS.strip()
        .replace("$first", first)
        .replace("$second", second)
        .replace("$read_second", read_second)
    )


MASK_PAIRS = '''
$reading


def read_mask(path, config: Config):
    """Return the mask of a file in the form that the loss takes."""
    mask = tf.io.decode_image(tf.io.read_file(path), channels=1, expand_animations=False)
    mask = tf.image.resize(mask, $size, method="nearest")
    $labels
    return mask


def make_synthetic(config: Config) -> None:
    """Write noisy images with a bright rectangle, and masks of the rectangle."""
    rng = np.random.default_rng(config.seed)
    root = Path(config.data_dir)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    height, width, channels = $shape
    for index in range(config.synthetic_samples):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        mask = np.zeros((height, width, 1))
        mask[top : top + height // 3 + 1, left : left + width // 3 + 1] = 1
        pixels = rng.normal(80, 20, size=(height, width, channels)) + 120 * mask
        write_image(root / "images" / f"image_{index:05d}.png", pixels)
        write_image(root / "masks" / f"image_{index:05d}.png", mask * ($level))


$flipping


''' + _pairs("images", "masks", "read_mask")
IMAGE_PAIRS = '''
$reading


def read_target(path, config: Config):
    """Return the target image of a file, in [0, 1]."""
    image = tf.io.read_file(path)
    image = tf.io.decode_image(image, channels=config.output_channels, expand_animations=False)
    return tf.image.resize(image, $size) / 255.0


def make_synthetic(config: Config) -> None:
    """Write images with a bright rectangle, clean as target and noisy as input."""
    rng = np.random.default_rng(config.seed)
    root = Path(config.data_dir)
    for name in ("inputs", "targets"):
        (root / name).mkdir(parents=True, exist_ok=True)
    height, width, channels = $shape
    for index in range(config.synthetic_samples):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        clean = np.full((height, width, channels), 80.0)
        clean[top : top + height // 3 + 1, left : left + width // 3 + 1] = 200
        noisy = clean + rng.normal(0, 25, size=clean.shape)
        write_image(root / "inputs" / f"image_{index:05d}.png", noisy)
        target = clean[..., : config.output_channels] if config.output_channels < channels else clean
        if target.shape[-1] < config.output_channels:
            target = np.repeat(target[..., :1], config.output_channels, axis=-1)
        write_image(root / "targets" / f"image_{index:05d}.png", target)


$flipping


''' + _pairs("inputs", "targets", "read_target")


def with_flip(template: str, flip: str) -> str:
    """Put the shared augmentation into a template, or take its places out."""
    flipping = _FLIP.strip().replace("$flip", flip.replace("\n", "\n    ")) if flip else ""
    augment = "if training:\n        dataset = dataset.map(flip_pair)" if flip else ""
    filled = template.replace("$flipping", flipping)
    return filled.replace("    $augment\n", f"    {augment}\n" if augment else "")
