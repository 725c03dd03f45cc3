"""Code template of the data section for clips stored as folders of frames."""

CLIPS = '''
def make_synthetic(config: Config) -> None:
    """Write clips of a bright square, faster from class to class, one folder of frames a clip."""
    rng = np.random.default_rng(config.seed)
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        folder = Path(config.data_dir) / f"class_{label:03d}" / f"clip_{index:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(config.frames):
            pixels = rng.normal(60, 10, size=(config.image_height, config.image_width, config.channels))
            left = frame * (label + 1) % config.image_width
            pixels[: config.image_height // 2, left : left + config.image_width // 4 + 1] += 120
            data = tf.io.encode_png(np.clip(pixels, 0, 255).astype("uint8"))
            tf.io.write_file(str(folder / f"frame_{frame:04d}.png"), data)


def read_clip(folder: Path, config: Config) -> np.ndarray:
    """Return evenly spaced frames (frames, height, width, channels) of a clip in [0, 1]."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not paths:
        raise FileNotFoundError(f"{folder}: expected the frames of a clip as images")
    frames = []
    for index in np.linspace(0, len(paths) - 1, config.frames).astype(int):
        image = tf.io.read_file(str(paths[index]))
        image = tf.io.decode_image(image, channels=config.channels, expand_animations=False)
        frames.append(tf.image.resize(image, (config.image_height, config.image_width)).numpy() / 255.0)
    return np.stack(frames).astype("float32")


def load_data(config: Config):
    """Return (train, validation, test), pairs of clips and labels, split 70/15/15."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not folders or len(folders) > config.num_classes:
        raise FileNotFoundError(f"{root}: expected a folder for each of {config.num_classes} classes")
    clips, labels = [], []
    for label, folder in enumerate(folders):
        for path in sorted(folder.iterdir()):
            clips.append(read_clip(path, config))
            labels.append(label)
    clips = np.stack(clips)
    $labels
    order = np.random.default_rng(config.seed).permutation(len(clips))
    clips, labels = clips[order], labels[order]
    first, second = int(0.7 * len(clips)), int(0.85 * len(clips))
    return (
        (clips[:first], labels[:first]),
        (clips[first:second], labels[first:second]),
        (clips[second:], labels[second:]),
    )
'''
