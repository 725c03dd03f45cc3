"""The sections train, evaluate and predict of projects that train by `model.fit`.

Weights are saved, not whole models: `build_model` makes the same network again, own losses and layers
included.
"""

from dlcodegen_local.compiler.templates import fill

_TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit the network, save its weights and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    $unpack
    model = build_model(config)
    history = model.fit(
        $fit
        epochs=config.epochs,
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save_weights(output / "model.weights.h5")
    measures = {name: float(values[-1]) for name, values in history.history.items()}
    (output / "metrics.json").write_text(json.dumps(measures, indent=2), encoding="utf-8")
    return measures
'''
_EVALUATE = '''
def load_trained(config: Config) -> keras.Model:
    """Build the network and its optimizer, and load the state that training saved."""
    model = build_model(config)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(Path(config.output_dir) / "model.weights.h5")
    return model


def evaluate(config: Config) -> dict[str, float]:
    """Measure the trained network on the test split."""
    $unpack
    model = load_trained(config)
    measures = model.evaluate($evaluate, return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}
'''
_PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return $what, one row for each test item, and save them."""
    $unpack
    model = load_trained(config)
    predictions = model.predict($predict, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", predictions)
    return predictions
'''


def array_sections(what: str) -> dict[str, str]:
    """Return the sections for data that `load_data` gives as (inputs, targets) pairs of arrays."""
    return {
        "train": fill(
            _TRAIN,
            unpack="(x_train, y_train), validation, _ = load_data(config)",
            fit="x_train,\ny_train,\nvalidation_data=validation,\nbatch_size=config.batch_size,",
        ),
        "evaluate": fill(
            _EVALUATE,
            unpack="_, _, (x_test, y_test) = load_data(config)",
            evaluate="x_test, y_test, batch_size=config.batch_size",
        ),
        "predict": fill(
            _PREDICT,
            unpack="_, _, (x_test, _) = load_data(config)",
            predict="x_test, batch_size=config.batch_size",
            what=what,
        ),
    }


def dataset_sections(what: str) -> dict[str, str]:
    """Return the sections for data that `load_data` gives as batched `tf.data` datasets."""
    return {
        "train": fill(
            _TRAIN,
            unpack="training, validation, _ = load_data(config)",
            fit="training,\nvalidation_data=validation,\nshuffle=False,  # the dataset shuffles itself",
        ),
        "evaluate": fill(_EVALUATE, unpack="_, _, test = load_data(config)", evaluate="test"),
        "predict": fill(_PREDICT, unpack="_, _, test = load_data(config)", predict="test", what=what),
    }
