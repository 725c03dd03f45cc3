"""Code templates of the autoencoder's sections."""

DATA = '''
def make_synthetic(config: Config) -> None:
    """Write correlated rows, one in ten far off."""
    rng = np.random.default_rng(config.seed)
    count = $rows
    base = rng.normal(size=(count, 1))
    rows = base + 0.2 * rng.normal(size=(count, config.num_features))
    labels = (np.arange(count) % 10 == 9).astype(int)
    rows[labels == 1] += rng.normal(0, 4, size=(labels.sum(), config.num_features))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"feature_{i}" for i in range(config.num_features)), "anomaly"])
        writer.writerows([*row.round(5), label] for row, label in zip(rows, labels))


def load_data(config: Config):
    """Return (train, validation, test, test labels); the parts are pairs of equal inputs and targets.

    Training and validation hold normal rows only.
    """
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "table.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table whose last column, anomaly, is 0 or 1")
    table = np.nan_to_num(np.atleast_2d(np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32")))
    rows, labels = table[:, :-1], table[:, -1].astype(int)
    if rows.shape[1] != config.num_features:
        raise ValueError(f"{path} has {rows.shape[1]} feature columns: pass --num-features")
    normal = rows[labels == 0]
    center = $center
    spread = $spread + 1e-7
    rows = $limit
    $cut
    $windows
    $flag
    order = np.random.default_rng(config.seed).permutation(len(rows))
    first, second = int(0.6 * len(rows)), int(0.75 * len(rows))
    train = [i for i in order[:first] if labels[i] == 0] or list(order[:first])
    validation = [i for i in order[first:second] if labels[i] == 0] or train
    test = order[second:]
    parts = [(rows[part], rows[part]) for part in (train, validation, test)]
    return (*parts, labels[test])
'''
EVALUATE = '''
def load_trained(config: Config) -> keras.Model:
    """Build the network and its optimizer, and load the state that training saved."""
    model = build_model(config)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(Path(config.output_dir) / "model.weights.h5")
    return model


def reconstruction_errors(model: keras.Model, rows: np.ndarray, config: Config) -> np.ndarray:
    """Return the mean squared error of every row (rows,)."""
    made = model.predict(rows, batch_size=config.batch_size, verbose=0)
    return np.square(rows - made).reshape(len(rows), -1).mean(axis=1)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the reconstruction, and how many anomalies exceed the threshold of normal rows."""
    (x_train, _), _, (x_test, y_test), labels = load_data(config)
    model = load_trained(config)
    measures = model.evaluate(x_test, y_test, batch_size=config.batch_size, return_dict=True, verbose=0)
    threshold = np.quantile(reconstruction_errors(model, x_train, config), config.threshold_quantile)
    flagged = reconstruction_errors(model, x_test, config) > threshold
    measures["threshold"] = threshold
    measures["detection_accuracy"] = (flagged == (labels == 1)).mean()
    return {name: float(value) for name, value in measures.items()}
'''
PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return the reconstruction error of every test row (rows, 1) and save it: the larger, the stranger."""
    _, _, (x_test, _), _ = load_data(config)
    scores = reconstruction_errors(load_trained(config), x_test, config)[:, None]
    np.save(Path(config.output_dir) / "predictions.npy", scores)
    return scores
'''
