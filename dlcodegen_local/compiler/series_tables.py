"""Code templates of the data sections for time series and recordings."""

WINDOWS = '''
def make_synthetic(config: Config) -> None:
    """Write noisy waves, one row a time step."""
    rng = np.random.default_rng(config.seed)
    steps = np.arange(config.synthetic_samples + config.sequence_length + config.horizon)
    waves = [np.sin(2 * np.pi * steps / (6 + 3 * i)) for i in range(config.num_features)]
    table = np.stack(waves, axis=1) + rng.normal(0, 0.05, size=(len(steps), config.num_features))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "series.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f"column_{i}" for i in range(config.num_features)])
        writer.writerows(table.round(5))


def read_series(config: Config) -> np.ndarray:
    """Return the table (steps, num_features)."""
    path = Path(config.data_dir) / "series.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table, one row a time step, oldest first")
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32")
    table = np.nan_to_num(table.reshape(len(table), -1))
    if table.shape[1] != config.num_features:
        raise ValueError(f"{path} has {table.shape[1]} columns: pass --num-features")
    return table


def make_windows(table: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (count, sequence_length, num_features) and the values that follow them."""
    count = len(table) - config.sequence_length - config.horizon + 1
    starts = np.arange(max(count, 0))
    windows = table[starts[:, None] + np.arange(config.sequence_length)]
    following = table[starts[:, None] + config.sequence_length + np.arange(config.horizon)]
    return windows, following[..., $target]


def load_data(config: Config):
    """Return (train, validation, test), pairs of windows and targets, in the order of time."""
    if config.synthetic:
        make_synthetic(config)
    table = read_series(config)
    train = table[: int(0.7 * len(table))]
    center = $center
    spread = $spread + 1e-7
    windows, targets = make_windows((table - center) / spread, config)
    if len(windows) < 3:
        raise ValueError(f"{len(table)} rows are too few: pass a smaller --sequence-length")
    first, second = int(0.7 * len(windows)), int(0.85 * len(windows))
    return (
        (windows[:first], targets[:first]),
        (windows[first:second], targets[first:second]),
        (windows[second:], targets[second:]),
    )
'''
RECORDINGS = '''
SHAPE = $shape


def make_synthetic(config: Config) -> None:
    """Write noisy arrays, higher from class to class, into one folder a class."""
    rng = np.random.default_rng(config.seed)
    folders = [Path(config.data_dir) / f"class_{label:03d}" for label in range(config.num_classes)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        values = rng.normal(label / config.num_classes, 0.3, size=SHAPE)
        np.save(folders[label] / f"item_{index:05d}.npy", np.maximum(values, $low).astype("float32"))


def load_data(config: Config):
    """Return (train, validation, test), pairs of arrays and labels, split 70/15/15."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if len(folders) != config.num_classes:
        raise FileNotFoundError(f"{root}: expected {config.num_classes} folders of .npy arrays, one a class")
    items, labels = [], []
    for label, folder in enumerate(folders):
        for path in sorted(folder.glob("*.npy")):
            items.append(np.load(path, allow_pickle=False).reshape(SHAPE))
            labels.append(label)
    items = np.stack(items).astype("float32")
    $labels
    order = np.random.default_rng(config.seed).permutation(len(items))
    items, labels = items[order], labels[order]
    first, second = int(0.7 * len(items)), int(0.85 * len(items))
    mean, spread = items[:first].mean(), items[:first].std() + 1e-7
    items = (items - mean) / spread
    return (
        (items[:first], labels[:first]),
        (items[first:second], labels[first:second]),
        (items[second:], labels[second:]),
    )
'''
