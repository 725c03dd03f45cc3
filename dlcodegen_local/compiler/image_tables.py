"""Code templates of the data sections for images with labels."""

_DATASET = '''
def make_dataset(paths, targets, config: Config, training: bool) -> tf.data.Dataset:
    """Return batches of images and targets."""
    dataset = tf.data.Dataset.from_tensor_slices(([str(path) for path in paths], targets))
    if training:
        dataset = dataset.shuffle(len(paths), seed=config.seed)
    dataset = dataset.map(lambda path, target: (read_image(path, config), target)).batch(config.batch_size)
    $training
    return dataset.prefetch(tf.data.AUTOTUNE)


def load_data(config: Config):
    """Return (train, validation, test) datasets, split 70/15/15."""
    if config.synthetic:
        make_synthetic(config)
    paths, targets = $list(config)
    order = np.random.default_rng(config.seed).permutation(len(paths))
    first, second = int(0.7 * len(paths)), int(0.85 * len(paths))
    parts = order[:first], order[first:second], order[second:]
    return tuple(
        make_dataset([paths[i] for i in part], targets[part], config, training=number == 0)
        for number, part in enumerate(parts)
    )
'''
FOLDERS = '''
$reading


def make_synthetic(config: Config) -> None:
    """Write noisy images, brighter from class to class, into one folder a class."""
    rng = np.random.default_rng(config.seed)
    folders = [Path(config.data_dir) / f"class_{label:03d}" for label in range(config.num_classes)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        level = 255 * (label + 1) / (config.num_classes + 1)
        pixels = rng.normal(level, 20, size=$shape)
        write_image(folders[label] / f"image_{index:05d}.png", pixels)


$augmentation


def list_images(config: Config) -> tuple[list[Path], np.ndarray]:
    """Return the image files and their targets."""
    root = Path(config.data_dir)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not folders:
        raise FileNotFoundError(f"{root}: expected one folder of images for each class")
    if len(folders) != config.num_classes:
        raise ValueError(f"{root} has {len(folders)} class folders: pass --num-classes")
    paths, labels = [], []
    for label, folder in enumerate(folders):
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
        paths += files
        labels += [label] * len(files)
    $labels
    return paths, labels


''' + _DATASET.strip().replace("$list", "list_images").replace("$training", "$augment")
TABLE = '''
$reading


def make_synthetic(config: Config) -> None:
    """Write noisy images of random brightness and a table with their targets."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "labels.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *$header])
        for index in range(config.synthetic_samples):
            level = rng.uniform(0, 255)
            name = f"image_{index:05d}.png"
            write_image(folder / name, rng.normal(level, 20, size=$shape))
            writer.writerow([name, *$targets])


$augmentation


def list_images(config: Config) -> tuple[list[Path], np.ndarray]:
    """Return the image files and their targets (images, $columns)."""
    root = Path(config.data_dir)
    if not (root / "labels.csv").is_file():
        raise FileNotFoundError(f"{root}: expected labels.csv and a folder images")
    with open(root / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    targets = np.array([row[1:] for row in rows], dtype="float32")
    if targets.shape[1] != $columns:
        raise ValueError(f"{root / 'labels.csv'} has {targets.shape[1]} target columns")
    return [root / "images" / row[0] for row in rows], targets


''' + _DATASET.strip().replace("$list", "list_images").replace("$training", "$augment")
