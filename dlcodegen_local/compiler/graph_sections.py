"""Source templates of graph learning: a graph in CSV files, classes of nodes or of signals on it.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it.
"""

READ_EDGES = '''
def read_adjacency(path: Path, num_nodes: int) -> np.ndarray:
    """Return the symmetrically normalised adjacency (num_nodes, num_nodes) with self loops."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns source and target")
    adjacency = np.eye(num_nodes, dtype="float32")
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            source, target = int(row["source"]), int(row["target"])
            adjacency[source, target] = adjacency[target, source] = 1.0
    scale = 1.0 / np.sqrt(adjacency.sum(axis=1))
    return adjacency * scale[:, None] * scale[None, :]


def write_csv(path: Path, header: list[str], rows) -> None:
    """Write a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
'''

NODE_DATA = '''


def make_synthetic(config: Config) -> None:
    """Write nodes.csv and edges.csv: nodes of one class have like features and are linked."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(config.synthetic_samples) % config.num_classes
    centres = rng.normal(size=(config.num_classes, config.num_features))
    features = centres[labels] + 0.5 * rng.normal(size=(len(labels), config.num_features))
    columns = ["id"] + [f"x{index}" for index in range(config.num_features)] + ["label"]
    nodes = [[index, *row.round(4).tolist(), labels[index]] for index, row in enumerate(features)]
    write_csv(folder / "nodes.csv", columns, nodes)
    ends = rng.integers(0, len(labels), size=(4 * len(labels), 2))
    near = [(source, target) for source, target in ends.tolist() if labels[source] == labels[target]]
    write_csv(folder / "edges.csv", ["source", "target"], near or ends.tolist())


def load_data(config: Config):
    """Return (train, validation, test): all share the graph's features, adjacency and labels.

    Each part adds the numbers of its own nodes.
    """
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "nodes.csv").is_file():
        raise FileNotFoundError(f"{folder}: expected nodes.csv (id, features, label) and edges.csv")
    table = np.genfromtxt(folder / "nodes.csv", delimiter=",", skip_header=1, dtype="float32")
    features, labels = table[:, 1:-1], table[:, -1].astype("int32")
    adjacency = read_adjacency(folder / "edges.csv", len(table))
    order = np.random.default_rng(config.seed).permutation(len(table))
    first, second = int(0.7 * len(order)), int(0.85 * len(order))
    return tuple(
        (features, adjacency, labels, part) for part in (order[:first], order[first:second], order[second:])
    )


def make_batches(part, config: Config) -> tf.data.Dataset:
    """Return steps of the whole graph in which `batch_size` nodes of the part have a weight."""
    features, adjacency, labels, nodes = part
    inputs = (tf.constant(features), tf.constant(adjacency))
    targets = $encode

    def add_graph(batch):
        weights = tf.reduce_max(tf.one_hot(batch, len(features)), axis=0)
        return inputs, targets, weights

    shuffled = tf.data.Dataset.from_tensor_slices(nodes).shuffle(len(nodes), seed=config.seed)
    return shuffled.batch(config.batch_size).map(add_graph)
'''

NODE_TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the model on the training nodes, save it, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_part, val_part, _ = load_data(config)
    model = build_model(config)
    history = model.fit(
        make_batches(train_part, config),
        validation_data=make_batches(val_part, config),
        epochs=config.epochs,
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save_weights(output / "model.weights.h5")
    return {name: float(np.mean(values[-1])) for name, values in history.history.items()}
'''

NODE_EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Return the loss and the accuracy of the test nodes."""
    _, _, test_part = load_data(config)
    model = load_trained(config)
    measures = model.evaluate(make_batches(test_part, config), return_dict=True, verbose=0)
    features, adjacency, labels, nodes = test_part
    outputs = model.predict_on_batch((features, adjacency))
    measures["node_accuracy"] = ($chosen[nodes] == labels[nodes]).mean()
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

NODE_PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return the class probabilities (test nodes, classes) and save them."""
    _, _, (features, adjacency, _, nodes) = load_data(config)
    model = load_trained(config)
    probabilities = model.predict_on_batch((features, adjacency))[nodes]
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities
'''

SIGNAL_DATA = '''


def make_synthetic(config: Config) -> None:
    """Write edges.csv, a ring of nodes, and signals.csv, one smooth signal on it a row."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    ring = [(node, (node + 1) % config.num_nodes) for node in range(config.num_nodes)]
    write_csv(folder / "edges.csv", ["source", "target"], ring)
    size = config.num_nodes * config.num_features
    rows = []
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        signal = np.sin(np.arange(size) * (label + 1) / size * 6.28) + 0.1 * rng.normal(size=size)
        rows.append([*signal.round(4).tolist(), label])
    write_csv(folder / "signals.csv", [f"x{index}" for index in range(size)] + ["label"], rows)


def load_data(config: Config):
    """Return (train, validation, test), each the signals with the adjacency, and the labels."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "signals.csv").is_file():
        raise FileNotFoundError(f"{folder}: expected signals.csv (node values, label) and edges.csv")
    table = np.genfromtxt(folder / "signals.csv", delimiter=",", skip_header=1, dtype="float32")
    signals = table[:, :-1].reshape(-1, config.num_nodes, config.num_features)
    labels = table[:, -1].astype("int32")
    $encode
    adjacency = read_adjacency(folder / "edges.csv", config.num_nodes)
    adjacency = np.broadcast_to(adjacency, (len(signals), *adjacency.shape))
    order = np.random.default_rng(config.seed).permutation(len(signals))
    first, second = int(0.7 * len(order)), int(0.85 * len(order))
    return tuple(
        ((signals[part], adjacency[part]), labels[part])
        for part in (order[:first], order[first:second], order[second:])
    )
'''
