"""Source templates of the text projects: reading, vocabulary, training, measuring, predicting.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it. The templates hold no decision: those are made in `text`.
"""

_MAKE_SEQUENCE = '''

def make_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the layer that turns sentences into padded rows of token ids."""
    return layers.TextVectorization(
        max_tokens=config.vocab_size, output_sequence_length=config.sequence_length
    )
'''

_MAKE_BAG = '''

def make_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the layer that turns sentences into one 0 or 1 for every word of the vocabulary."""
    return layers.TextVectorization(
        max_tokens=config.vocab_size, output_mode="multi_hot", pad_to_max_tokens=True
    )
'''

_FIT = '''

def fit_vectorizer(texts: list[str], config: Config) -> layers.TextVectorization:
    """Learn the vocabulary of the training texts and save it, one token a line."""
    vectorizer = make_vectorizer(config)
    vectorizer.adapt(tf.constant(texts))
    tokens = vectorizer.get_vocabulary(include_special_tokens=False)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.txt").write_text("\\n".join(tokens), encoding="utf-8")
    return vectorizer


def load_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the vectorizer with the vocabulary that training saved."""
    path = Path(config.output_dir) / "vocabulary.txt"
    vectorizer = make_vectorizer(config)
    vectorizer.set_vocabulary(path.read_text(encoding="utf-8").split("\\n"))
    return vectorizer
'''

_ENCODE = '''

def encode(texts: list[str], vectorizer: layers.TextVectorization) -> np.ndarray:
    """Return one row of token ids, or of word flags, for every text."""
    return vectorizer(tf.constant(texts)).numpy()
'''

VOCABULARY_PARTS = _MAKE_SEQUENCE + _FIT
VOCABULARY = VOCABULARY_PARTS + _ENCODE
BAG = _MAKE_BAG + _FIT + _ENCODE

CLASS_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write texts.csv: sentences in which a topic word of the class tells its label."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "texts.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(config.synthetic_samples):
            label = index % config.num_classes
            words = [f"word{number}" for number in rng.integers(0, 100, size=10)]
            words += [f"topic{label}"] * 3
            writer.writerow([" ".join(rng.permutation(words)), label])


def read_texts(path: Path, config: Config) -> tuple[list[str], np.ndarray]:
    """Return the texts and their labels $label_shape."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns text and label")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["label"]) for row in rows], dtype="int32")
    return [row["text"] for row in rows], $encode_labels
'''

TARGETS_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write texts.csv: sentences in which every target has a word that raises it."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "texts.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text"] + [f"target{index}" for index in range(config.num_targets)])
        for _ in range(config.synthetic_samples):
            targets = rng.integers(0, 2, size=config.num_targets)
            words = [f"word{number}" for number in rng.integers(0, 100, size=10)]
            words += [f"topic{index}" for index in np.flatnonzero(targets)]
            writer.writerow([" ".join(rng.permutation(words)), *targets.tolist()])


def read_texts(path: Path, config: Config) -> tuple[list[str], np.ndarray]:
    """Return the texts and their targets (rows, num_targets)."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file: a text column, then one number a target")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    targets = np.array([[float(value) for value in row[1:]] for row in rows], dtype="float32")
    return [row[0] for row in rows], targets.reshape(len(rows), config.num_targets)
'''

LOAD_TEXTS = '''

def load_data(config: Config):
    """Return (train, validation, test), each a pair of texts and $what."""
    if config.synthetic:
        make_synthetic(config)
    texts, labels = read_texts(Path(config.data_dir) / "$file", config)
    order = np.random.default_rng(config.seed).permutation(len(texts))
    first, second = int(0.7 * len(order)), int(0.85 * len(order))
    return tuple(
        ([texts[index] for index in part], labels[part])
        for part in (order[:first], order[first:second], order[second:])
    )
'''

TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the model, save it with its vocabulary, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    (train_texts, train_labels), (val_texts, val_labels), _ = load_data(config)
    vectorizer = fit_vectorizer(train_texts, config)
    model = build_model(config)
    history = model.fit(
        encode(train_texts, vectorizer),
        train_labels,
        validation_data=(encode(val_texts, vectorizer), val_labels),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=2,
    )
    model.save_weights(Path(config.output_dir) / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Measure the saved model on the test texts."""
    _, _, (texts, labels) = load_data(config)
    model = load_trained(config)
    inputs = encode(texts, load_vectorizer(config))
    measures = model.evaluate(inputs, labels, batch_size=config.batch_size, return_dict=True, verbose=0)
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return the $what of the test texts, one row a text, and save them."""
    _, _, (texts, _) = load_data(config)
    model = load_trained(config)
    inputs = encode(texts, load_vectorizer(config))
    predictions = model.predict(inputs, batch_size=config.batch_size, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", predictions)
    return predictions
'''
