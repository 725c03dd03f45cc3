"""Source templates of text generation, translation and summarisation.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it.
"""

CORPUS_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write text.txt: lines of a small grammar, long enough for `synthetic_samples` windows."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    subjects, verbs = ("the cat", "a dog", "my bird"), ("sees", "likes", "follows")
    objects = ("it", "him", "us")
    needed = config.sequence_length + 1 + config.window_step * config.synthetic_samples
    lines = [
        f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(objects)}"
        for _ in range(needed // $line_tokens + 1)  # a line has at least $line_tokens $token tokens
    ]
    (folder / "text.txt").write_text("\\n".join(lines), encoding="utf-8")


def make_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the layer that turns text into token ids, one token a $token."""
    return layers.TextVectorization(
        max_tokens=config.vocab_size, standardize="lower", split="$split"
    )


def fit_vectorizer(text: str, config: Config) -> layers.TextVectorization:
    """Learn the vocabulary and save it as a JSON list."""
    vectorizer = make_vectorizer(config)
    vectorizer.adapt(tf.constant([text]))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    tokens = vectorizer.get_vocabulary(include_special_tokens=False)
    (output / "vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")
    return vectorizer


def load_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the vectorizer with the vocabulary that training saved."""
    vectorizer = make_vectorizer(config)
    path = Path(config.output_dir) / "vocabulary.json"
    vectorizer.set_vocabulary(json.loads(path.read_text(encoding="utf-8")))
    return vectorizer


def load_data(config: Config) -> str:
    """Return the whole text; it is cut into windows once the vocabulary is known."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "text.txt"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a plain text file")
    return path.read_text(encoding="utf-8").replace("\\n", " ")


def make_windows(text: str, vectorizer: layers.TextVectorization, config: Config) -> np.ndarray:
    """Return windows of token ids (windows, sequence_length + 1), one every `window_step` tokens."""
    ids = vectorizer(tf.constant([text])).numpy()[0]
    if len(ids) < config.sequence_length + 4:
        raise ValueError(f"the text has {len(ids)} tokens: more than {config.sequence_length + 3} are needed")
    return np.lib.stride_tricks.sliding_window_view(ids, config.sequence_length + 1)[:: config.window_step]


def split_windows(windows: np.ndarray, config: Config) -> list[tf.data.Dataset]:
    """Return batches of (context, next $targets) for training, validation and test, in text order."""
    first = max(1, int(0.7 * len(windows)))
    second = max(first, int(0.85 * len(windows)))
    parts = [windows[:first], windows[first:second], windows[second:]]

    def make_example(window):
        return window[:-1], $window_target

    datasets = []
    for part in parts:
        dataset = tf.data.Dataset.from_tensor_slices(part if len(part) else windows[-1:])
        dataset = dataset.shuffle(10_000, seed=config.seed) if not datasets else dataset
        datasets.append(dataset.map(make_example).batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return datasets
'''

GENERATION_TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the language model, save it with its vocabulary, and return the last measures."""
    keras.utils.set_random_seed(config.seed)
    text = load_data(config)
    vectorizer = fit_vectorizer(text, config)
    train_windows, val_windows, _ = split_windows(make_windows(text, vectorizer, config), config)
    model = build_model(config)
    history = model.fit(train_windows, validation_data=val_windows, epochs=config.epochs, verbose=2)
    model.save_weights(Path(config.output_dir) / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

GENERATION_EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Return the measures of the test windows, and the perplexity that follows from their loss."""
    windows = make_windows(load_data(config), load_vectorizer(config), config)
    test_windows = split_windows(windows, config)[2]
    model = load_trained(config)
    measures = model.evaluate(test_windows, return_dict=True, verbose=0)
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

GENERATION_PREDICT = '''
def generate(model: keras.Model, context: np.ndarray, config: Config) -> list[int]:
    """Draw `generated_tokens` token ids that continue the context."""
    rng = np.random.default_rng(config.seed)
    window, drawn = list(context), []
    for _ in range(config.generated_tokens):
        inputs = np.array([window[-config.sequence_length :]], dtype="int32")
        outputs = np.asarray(model(inputs, training=False))[0]$last_step.astype("float64")
        scores = $scores / config.temperature
        weights = np.exp(scores - scores.max())
        drawn.append(int(rng.choice(len(weights), p=weights / weights.sum())))
        window.append(drawn[-1])
    return drawn


def predict(config: Config) -> np.ndarray:
    """Return token probabilities $output_shape of the test windows; write a continuation of the last."""
    vectorizer = load_vectorizer(config)
    windows = make_windows(load_data(config), vectorizer, config)
    model = load_trained(config)
    probabilities = model.predict(split_windows(windows, config)[2], verbose=0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", probabilities)
    vocabulary = vectorizer.get_vocabulary()
    drawn = generate(model, windows[-1][1:], config)
    tokens = [vocabulary[token] for token in drawn if token < len(vocabulary)]
    (output / "generated.txt").write_text("$joiner".join(tokens), encoding="utf-8")
    return probabilities
'''

PAIR_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write pairs.tsv: $synthetic_task."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for _ in range(config.synthetic_samples):
        numbers = rng.integers(0, 30, size=$source_words)
        source = " ".join(f"word{number}" for number in numbers)
        target = " ".join(f"mot{number}" for number in numbers$target_words)
        lines.append(f"{source}\\t{target}")
    (folder / "pairs.tsv").write_text("\\n".join(lines), encoding="utf-8")


def load_data(config: Config):
    """Return (train, validation, test), each the source texts and the target texts."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "pairs.tsv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected lines of a source text, a tab and a target text")
    rows = [line.split("\\t") for line in path.read_text(encoding="utf-8").splitlines() if "\\t" in line]
    order = np.random.default_rng(config.seed).permutation(len(rows))
    first, second = int(0.7 * len(rows)), int(0.85 * len(rows))
    return tuple(
        ([rows[index][0] for index in part], [$target_text for index in part])
        for part in (order[:first], order[first:second], order[second:])
    )


def make_vectorizer(length: int, config: Config) -> layers.TextVectorization:
    """Return the layer that turns sentences into rows of `length` token ids."""
    return layers.TextVectorization(max_tokens=config.vocab_size, output_sequence_length=length)


def fit_vocabularies(sources: list[str], targets: list[str], config: Config) -> None:
    """Learn the vocabularies of both sides from the training pairs and save them, one token a line."""
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    for name, texts in (("source", sources), ("target", targets)):
        vectorizer = make_vectorizer(config.sequence_length, config)
        vectorizer.adapt(tf.constant(texts))
        tokens = vectorizer.get_vocabulary(include_special_tokens=False)
        (output / f"{name}_vocabulary.txt").write_text("\\n".join(tokens), encoding="utf-8")


def load_vectorizers(config: Config) -> list[layers.TextVectorization]:
    """Return the source and the target vectorizer with the vocabularies that training saved."""
    lengths = {"source": config.sequence_length, "target": config.target_length$extra_step}
    vectorizers = []
    for name, length in lengths.items():
        vectorizer = make_vectorizer(length, config)
        path = Path(config.output_dir) / f"{name}_vocabulary.txt"
        vectorizer.set_vocabulary(path.read_text(encoding="utf-8").split("\\n"))
        vectorizers.append(vectorizer)
    return vectorizers
'''

ENCODE_CHAIN = '''

def encode(pairs, vectorizers: list[layers.TextVectorization], config: Config):
    """Return source ids (rows, sequence_length) and target ids $target_shape."""
    sources, targets = (vectorizer(tf.constant(texts)) for vectorizer, texts in zip(vectorizers, pairs))
    return sources.numpy(), $encode_targets
'''

ENCODE_TEACHER = '''

def encode(pairs, vectorizers: list[layers.TextVectorization], config: Config):
    """Return the inputs (source ids, target ids so far) and the next target ids $target_shape."""
    sources, targets = (vectorizer(tf.constant(texts)) for vectorizer, texts in zip(vectorizers, pairs))
    targets = targets.numpy()
    return (sources.numpy(), targets[:, :-1]), $encode_targets
'''

PAIR_TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the model, save it with its vocabularies, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_pairs, val_pairs, _ = load_data(config)
    fit_vocabularies(*train_pairs, config)
    vectorizers = load_vectorizers(config)
    inputs, targets = encode(train_pairs, vectorizers, config)
    model = build_model(config)
    history = model.fit(
        inputs,
        targets,
        validation_data=encode(val_pairs, vectorizers, config),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=2,
    )
    model.save_weights(Path(config.output_dir) / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

PAIR_EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Measure the saved model on the test pairs."""
    _, _, pairs = load_data(config)
    inputs, targets = encode(pairs, load_vectorizers(config), config)
    model = load_trained(config)
    measures = model.evaluate(inputs, targets, batch_size=config.batch_size, return_dict=True, verbose=0)
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

WRITE_TEXTS = '''
def write_texts(token_ids: np.ndarray, vocabulary: list[str], path: Path) -> None:
    """Write one line of words for every row of token ids; padding and markers are left out."""
    lines = []
    for row in token_ids:
        words = [vocabulary[token] if token < len(vocabulary) else "[UNK]" for token in row]
        words = words[: words.index("endseq")] if "endseq" in words else words
        lines.append(" ".join(word for word in words if word not in ("", "startseq")))
    path.write_text("\\n".join(lines), encoding="utf-8")

'''

PREDICT_CHAIN = '''
def predict(config: Config) -> np.ndarray:
    """Return word probabilities (rows, target_length, vocab_size) of the test pairs; write the texts."""
    _, _, pairs = load_data(config)
    vectorizers = load_vectorizers(config)
    inputs, _ = encode(pairs, vectorizers, config)
    model = load_trained(config)
    probabilities = model.predict(inputs, batch_size=config.batch_size, verbose=0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", probabilities)
    write_texts(probabilities.argmax(axis=-1), vectorizers[1].get_vocabulary(), output / "predictions.txt")
    return probabilities
'''

PREDICT_TEACHER = '''
def predict(config: Config) -> np.ndarray:
    """Return word probabilities (rows, target_length, vocab_size) along greedy decoding; write the texts."""
    _, _, pairs = load_data(config)
    vectorizers = load_vectorizers(config)
    (sources, _), _ = encode(pairs, vectorizers, config)
    model = load_trained(config)
    vocabulary = vectorizers[1].get_vocabulary()
    targets = np.zeros((len(sources), config.target_length + 1), dtype="int64")
    targets[:, 0] = vocabulary.index("startseq")
    for step in range(config.target_length):
        probabilities = model.predict((sources, targets[:, :-1]), batch_size=config.batch_size, verbose=0)
        targets[:, step + 1] = probabilities[:, step].argmax(axis=-1)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", probabilities)
    write_texts(targets[:, 1:], vocabulary, output / "predictions.txt")
    return probabilities
'''
