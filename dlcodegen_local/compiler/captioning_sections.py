"""Source templates of image captioning: images with captions, features, words, greedy decoding.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it.
"""

READ_CAPTIONS = '''
def make_synthetic(config: Config) -> None:
    """Write images/ and captions.csv: one coloured square an image; its caption is the colour."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    colours = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (40, 40, 220)}
    names = sorted(colours)
    side = min(config.image_height, config.image_width)
    with open(folder / "captions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        for index in range(config.synthetic_samples):
            colour = names[index % len(names)]
            shape = (config.image_height, config.image_width, 3)
            image = rng.integers(0, 60, size=shape, dtype="uint8")
            top, left = rng.integers(0, max(1, side // 2), size=2)
            image[top : top + side // 2, left : left + side // 2] = colours[colour]
            tf.io.write_file(str(folder / "images" / f"{index:05d}.png"), tf.io.encode_png(image))
            writer.writerow([f"{index:05d}.png", colour])


def read_image(path: Path, config: Config) -> np.ndarray:
    """Return one image (image_height, image_width, channels) in [0, 1]."""
    image = tf.io.decode_image(tf.io.read_file(str(path)), channels=3, expand_animations=False)
    image = tf.image.resize(image, (config.image_height, config.image_width))
    return image.numpy() / 255.0


def read_captions(config: Config) -> tuple[list[Path], list[str]]:
    """Return the image files and their captions, one pair a line of captions.csv."""
    folder = Path(config.data_dir)
    if not (folder / "captions.csv").is_file():
        raise FileNotFoundError(f"{folder}: expected images/ and captions.csv with image and caption")
    with open(folder / "captions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [folder / "images" / row["image"] for row in rows], [row["caption"] for row in rows]
'''

EXTRACTOR = '''

def build_extractor(config: Config) -> keras.Model:
    """Return the network that turns images into the features the model takes."""
$extractor


def extract_features(paths: list[Path], config: Config) -> np.ndarray:
    """Return the features of the images; computed once, then kept in `output_dir/features.npz`."""
    cache = Path(config.output_dir) / "features.npz"
    names = [path.name for path in paths]
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as arrays:
            if arrays["names"].tolist() == names:
                return arrays["features"]
    extractor = build_extractor(config)
    batches = []
    for start in range(0, len(paths), config.batch_size):
        images = [read_image(path, config) for path in paths[start : start + config.batch_size]]
        batches.append(extractor.predict_on_batch(np.stack(images)))
    features = np.concatenate(batches)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, names=np.array(names), features=features)
    return features
'''

LOAD_DATA = '''

def load_data(config: Config):
    """Return (train, validation, test), each a pair of $image_values and captions."""
    if config.synthetic:
        make_synthetic(config)
    paths, captions = read_captions(config)
    images = $read_images
    order = np.random.default_rng(config.seed).permutation(len(paths))
    first, second = int(0.7 * len(order)), int(0.85 * len(order))
    return tuple(
        (images[part], [f"startseq {captions[index]} endseq" for index in part])
        for part in (order[:first], order[first:second], order[second:])
    )


def make_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the layer that turns captions into rows of max_length + 1 word ids."""
    return layers.TextVectorization(
        max_tokens=config.vocab_size, output_sequence_length=config.max_length + 1
    )


def fit_vectorizer(captions: list[str], config: Config) -> layers.TextVectorization:
    """Learn the vocabulary of the training captions and save it, one word a line."""
    vectorizer = make_vectorizer(config)
    vectorizer.adapt(tf.constant(captions))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    words = vectorizer.get_vocabulary(include_special_tokens=False)
    (output / "vocabulary.txt").write_text("\\n".join(words), encoding="utf-8")
    return vectorizer


def load_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the vectorizer with the vocabulary that training saved."""
    vectorizer = make_vectorizer(config)
    path = Path(config.output_dir) / "vocabulary.txt"
    vectorizer.set_vocabulary(path.read_text(encoding="utf-8").split("\\n"))
    return vectorizer
'''

NEXT_WORD = '''

def make_batches(part, vectorizer: layers.TextVectorization, config: Config) -> tf.data.Dataset:
    """Return batches of ((image, caption so far), next word), one for every word of every caption."""
    images, captions = part
    ids = vectorizer(tf.constant(captions)).numpy()
    rows, steps = np.nonzero(ids[:, 1:])
    prefixes = np.where(np.arange(config.max_length) <= steps[:, None], ids[rows, :-1], 0)
    images = tf.constant(images)

    def add_image(row, prefix, word):
        return (tf.gather(images, row), prefix), $target

    dataset = tf.data.Dataset.from_tensor_slices((rows, prefixes, ids[rows, steps + 1]))
    dataset = dataset.shuffle(len(rows), seed=config.seed).batch(config.batch_size)
    return dataset.map(add_image)
'''

WHOLE_CAPTION = '''

def make_batches(part, vectorizer: layers.TextVectorization, config: Config) -> tf.data.Dataset:
    """Return batches of ((image, caption so far), next word at every place)."""
    images, captions = part
    ids = vectorizer(tf.constant(captions)).numpy()

    def encode_words(inputs, word):
        return inputs, $target

    dataset = tf.data.Dataset.from_tensor_slices(((images, ids[:, :-1]), ids[:, 1:]))
    return dataset.shuffle(len(ids), seed=config.seed).batch(config.batch_size).map(encode_words)
'''

TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the captioner, save it with its vocabulary, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_part, val_part, _ = load_data(config)
    vectorizer = fit_vectorizer(train_part[1], config)
    model = build_model(config)
    history = model.fit(
        make_batches(train_part, vectorizer, config),
        validation_data=make_batches(val_part, vectorizer, config),
        epochs=config.epochs,
        verbose=2,
    )
    model.save_weights(Path(config.output_dir) / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Measure the saved model on the test captions."""
    _, _, test_part = load_data(config)
    model = load_trained(config)
    batches = make_batches(test_part, load_vectorizer(config), config)
    measures = model.evaluate(batches, return_dict=True, verbose=0)
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return $what of the test images, decoded greedily; write the captions."""
    _, _, (images, _) = load_data(config)
    vectorizer = load_vectorizer(config)
    model = load_trained(config)
    vocabulary = vectorizer.get_vocabulary()
    captions = np.zeros((len(images), config.max_length + 1), dtype="int64")
    captions[:, 0] = vocabulary.index("startseq")
    for step in range(config.max_length):
        probabilities = model.predict((images, captions[:, :-1]), batch_size=config.batch_size, verbose=0)
        captions[:, step + 1] = probabilities$at_step.argmax(axis=-1)
        $keep
    lines = []
    for row in captions[:, 1:]:
        words = [vocabulary[token] for token in row if 0 < token < len(vocabulary)]
        lines.append(" ".join(words[: words.index("endseq")] if "endseq" in words else words))
    output = Path(config.output_dir)
    (output / "captions.txt").write_text("\\n".join(lines), encoding="utf-8")
    np.save(output / "predictions.npy", $returned)
    return $returned
'''
