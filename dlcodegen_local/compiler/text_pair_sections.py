"""Source templates of token classification and question answering.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it.
"""

TAG_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write tokens.conll: sentences in which the ending of a word tells its tag."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(config.synthetic_samples):
        tags = rng.integers(0, config.num_classes, size=8)
        tags[0] = index % config.num_classes
        lines += [f"word{rng.integers(0, 20)}x{tag}\\tTAG{tag}" for tag in tags] + [""]
    (folder / "tokens.conll").write_text("\\n".join(lines), encoding="utf-8")


def read_sentences(path: Path) -> list[tuple[list[str], list[str]]]:
    """Return every sentence as its words and their tags; blank lines part sentences."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected lines of a word and a tag, blank lines between sentences")
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\\n\\n"):
        rows = [line.split() for line in block.splitlines() if line.strip()]
        if rows:
            sentences.append(([row[0] for row in rows], [row[-1] for row in rows]))
    return sentences


def load_data(config: Config):
    """Return (train, validation, test), each a list of sentences with their tags."""
    if config.synthetic:
        make_synthetic(config)
    sentences = read_sentences(Path(config.data_dir) / "tokens.conll")
    order = np.random.default_rng(config.seed).permutation(len(sentences))
    first, second = int(0.7 * len(order)), int(0.85 * len(order))
    return tuple(
        [sentences[index] for index in part] for part in (order[:first], order[first:second], order[second:])
    )
'''

TAG_VOCABULARY = '''

def make_vectorizer(config: Config) -> layers.TextVectorization:
    """Return the layer that turns words parted by blanks into padded rows of word ids."""
    return layers.TextVectorization(
        max_tokens=config.vocab_size,
        standardize="lower",
        split="whitespace",
        output_sequence_length=config.sequence_length,
    )


def fit_vocabulary(sentences: list[tuple[list[str], list[str]]], config: Config) -> None:
    """Learn words and tags from the training sentences and save them, one a line."""
    vectorizer = make_vectorizer(config)
    vectorizer.adapt(tf.constant([" ".join(words) for words, _ in sentences]))
    tags = sorted({tag for _, sentence_tags in sentences for tag in sentence_tags})
    if len(tags) > config.num_classes:
        raise ValueError(f"the data has {len(tags)} tags: set --num-classes to at least that")
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    tokens = vectorizer.get_vocabulary(include_special_tokens=False)
    (output / "vocabulary.txt").write_text("\\n".join(tokens), encoding="utf-8")
    (output / "tags.txt").write_text("\\n".join(tags), encoding="utf-8")


def encode(sentences: list[tuple[list[str], list[str]]], config: Config):
    """Return word ids and tags with one row a sentence, and weights that are 0 on the padding."""
    output = Path(config.output_dir)
    vectorizer = make_vectorizer(config)
    vectorizer.set_vocabulary((output / "vocabulary.txt").read_text(encoding="utf-8").split("\\n"))
    tag_ids = {tag: index for index, tag in enumerate((output / "tags.txt").read_text("utf-8").split("\\n"))}
    tokens = vectorizer(tf.constant([" ".join(words) for words, _ in sentences])).numpy()
    tags = np.zeros(tokens.shape, dtype="int32")
    weights = np.zeros(tokens.shape, dtype="float32")
    for row, (_, sentence_tags) in enumerate(sentences):
        known = [tag_ids.get(tag, 0) for tag in sentence_tags[: config.sequence_length]]
        tags[row, : len(known)] = known
        weights[row, : len(known)] = 1.0
    return tokens, $encode_tags, weights
'''

TAG_TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the tagger, save it with its vocabulary, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_sentences, val_sentences, _ = load_data(config)
    fit_vocabulary(train_sentences, config)
    tokens, tags, weights = encode(train_sentences, config)
    model = build_model(config)
    history = model.fit(
        tokens,
        tags,
        sample_weight=weights,
        validation_data=encode(val_sentences, config),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=2,
    )
    model.save_weights(Path(config.output_dir) / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

TAG_EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Return the saved model's measures and the share of right tags among the test words."""
    _, _, sentences = load_data(config)
    model = load_trained(config)
    tokens, tags, weights = encode(sentences, config)
    measures = model.evaluate(
        tokens, tags, sample_weight=weights, batch_size=config.batch_size, return_dict=True, verbose=0
    )
    probabilities = model.predict(tokens, batch_size=config.batch_size, verbose=0)
    right = $chosen == $true_tags
    measures["word_accuracy"] = (right * weights).sum() / weights.sum()
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

TAG_PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return tag probabilities (rows, sequence_length, num_classes) of the test words; write the tags."""
    _, _, sentences = load_data(config)
    model = load_trained(config)
    tokens, _, _ = encode(sentences, config)
    probabilities = model.predict(tokens, batch_size=config.batch_size, verbose=0)
    output = Path(config.output_dir)
    names = (output / "tags.txt").read_text("utf-8").split("\\n")
    lines = []
    for (words, _), row in zip(sentences, $chosen):
        lines += [f"{word}\\t{names[min(tag, len(names) - 1)]}" for word, tag in zip(words, row)] + [""]
    (output / "predictions.conll").write_text("\\n".join(lines), encoding="utf-8")
    np.save(output / "predictions.npy", probabilities)
    return probabilities
'''

SPAN_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write questions.jsonl: the answer is the pair of words that follows the question's marker word."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    length = max(4, min(20, config.sequence_length - config.question_length))
    with open(folder / "questions.jsonl", "w", encoding="utf-8") as file:
        for _ in range(config.synthetic_samples):
            words = [f"word{number}" for number in rng.integers(0, 50, size=length)]
            place, marker = int(rng.integers(0, length - 2)), f"marker{rng.integers(0, 5)}"
            words[place] = marker
            item = {
                "context": " ".join(words),
                "question": f"what follows {marker}",
                "start": place + 1,
                "end": place + 2,
            }
            file.write(json.dumps(item) + "\\n")


def read_questions(path: Path) -> list[dict]:
    """Return the questions, one a line of the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected JSON lines with context, question, start and end")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def load_data(config: Config):
    """Return (train, validation, test), each a list of questions with their contexts."""
    if config.synthetic:
        make_synthetic(config)
    questions = read_questions(Path(config.data_dir) / "questions.jsonl")
    order = np.random.default_rng(config.seed).permutation(len(questions))
    first, second = int(0.7 * len(order)), int(0.85 * len(order))
    return tuple(
        [questions[index] for index in part] for part in (order[:first], order[first:second], order[second:])
    )


def encode(questions: list[dict], vectorizer: layers.TextVectorization, config: Config) -> np.ndarray:
    """Return token ids (rows, sequence_length): the padded context, then the padded question."""
    ids = vectorizer(tf.constant([item["context"] for item in questions])).numpy()
    asked = vectorizer(tf.constant([item["question"] for item in questions])).numpy()
    split = config.sequence_length - config.question_length
    return np.concatenate([ids[:, :split], asked[:, : config.question_length]], axis=1)


def encode_spans(questions: list[dict], config: Config) -> np.ndarray:
    """Return the first and the last word of every answer $span_shape."""
    spans = np.array([[item["start"], item["end"]] for item in questions], dtype="int32")
    spans = spans.clip(0, config.sequence_length - 1)
    return $encode_spans
'''

SPAN_TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the model, save it with its vocabulary, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_items, val_items, _ = load_data(config)
    vectorizer = fit_vectorizer([f"{item['context']} {item['question']}" for item in train_items], config)
    model = build_model(config)
    history = model.fit(
        encode(train_items, vectorizer, config),
        encode_spans(train_items, config),
        validation_data=(encode(val_items, vectorizer, config), encode_spans(val_items, config)),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=2,
    )
    model.save_weights(Path(config.output_dir) / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

SPAN_EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Return the saved model's measures and the share of test answers found exactly."""
    _, _, items = load_data(config)
    model = load_trained(config)
    inputs = encode(items, load_vectorizer(config), config)
    spans = encode_spans(items, config)
    measures = model.evaluate(inputs, spans, batch_size=config.batch_size, return_dict=True, verbose=0)
    found = model.predict(inputs, batch_size=config.batch_size, verbose=0).argmax(axis=-1)
    measures["exact_match"] = (found == $true_spans).all(axis=1).mean()
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

SPAN_PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return start and end probabilities (rows, 2, sequence_length); write the answers as text."""
    _, _, items = load_data(config)
    model = load_trained(config)
    inputs = encode(items, load_vectorizer(config), config)
    probabilities = model.predict(inputs, batch_size=config.batch_size, verbose=0)
    output = Path(config.output_dir)
    with open(output / "answers.jsonl", "w", encoding="utf-8") as file:
        for item, (start, end) in zip(items, probabilities.argmax(axis=-1)):
            answer = " ".join(item["context"].split()[start : end + 1])
            file.write(json.dumps({"question": item["question"], "answer": answer}) + "\\n")
    np.save(output / "predictions.npy", probabilities)
    return probabilities
'''

LABELLED_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write questions.jsonl: a context is right for its question where it holds the topic's word."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "questions.jsonl", "w", encoding="utf-8") as file:
        for index in range(config.synthetic_samples):
            $draw_target
            words = [f"word{number}" for number in rng.integers(0, 50, size=10)] + topics
            item = {
                "context": " ".join(rng.permutation(words)),
                "question": f"is this about topic{index % 3}",
                "$key": target,
            }
            file.write(json.dumps(item) + "\\n")


def read_texts(path: Path, config: Config) -> tuple[list[str], np.ndarray]:
    """Return every question joined with its context, and the labels $label_shape."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected JSON lines with context, question and $key")
    with open(path, encoding="utf-8") as file:
        items = [json.loads(line) for line in file if line.strip()]
    texts = [f"{item['question']} {item['context']}" for item in items]
    labels = np.array([item["$key"] for item in items], dtype="$dtype")
    return texts, $encode_labels
'''
