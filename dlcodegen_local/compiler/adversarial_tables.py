"""Code templates of adversarial projects."""

DATA = '''
$reading


def make_synthetic(config: Config) -> None:
    """Write images of bright discs on dark ground."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    height, width, channels = $shape
    rows, columns = np.mgrid[:height, :width]
    for index in range(config.synthetic_samples):
        row, column = rng.uniform(0.3, 0.7, size=2) * (height, width)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < (height / 5) ** 2
        pixels = 40 + 180 * disc[..., None] * np.ones(channels)
        write_image(folder / f"image_{index:05d}.png", pixels + rng.normal(0, 8, size=pixels.shape))


def make_dataset(paths: list[str], config: Config, training: bool) -> tf.data.Dataset:
    """Return batches of images."""
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    if training:
        dataset = dataset.shuffle(len(paths), seed=config.seed)
    dataset = dataset.map(lambda path: read_image(path, config))
    return dataset.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)


def load_data(config: Config):
    """Return (train, validation, test) datasets, split 70/15/15."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir) / "images"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of PNG or JPEG images")
    paths = [str(path) for path in sorted(folder.iterdir())]
    order = np.random.default_rng(config.seed).permutation(len(paths))
    first, second = int(0.7 * len(paths)), int(0.85 * len(paths))
    parts = order[:first], order[first:second], order[second:]
    return tuple(
        make_dataset([paths[i] for i in part], config, training=number == 0)
        for number, part in enumerate(parts)
    )
'''
MODEL = {
    "generator": '''
def build_generator(config: Config) -> keras.Model:
    """Return the network that makes images."""
    $network
    return model
''',
    "discriminator": '''
def build_discriminator(config: Config) -> keras.Model:
    """Return the network that tells real images from made ones."""
    $network
    return model
''',
    "model": '''
$functions


$networks


class AdversarialModel(keras.Model):
    """Train a generator and a discriminator against each other."""

    def __init__(self, generator: keras.Model, discriminator: keras.Model, config: Config) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.config = config

    def compile(self, optimizer, discriminator_optimizer, loss) -> None:
        """Take an optimizer for each network; `loss` compares scores with 1 (real) and 0 (made)."""
        super().compile(optimizer=optimizer)
        self.discriminator_optimizer = discriminator_optimizer
        self.adversarial_loss = loss

    def call(self, inputs):
        """Return what the generator makes of its inputs."""
        return self.generator(inputs)

    $make

    def train_step(self, data):
        """Improve the discriminator, then the generator, on one batch."""
        $batch
        with tf.GradientTape() as tape:
            real = self.discriminator(images, training=True)
            made = self.discriminator($generate, training=True)
            discriminator_loss = tf.reduce_mean(self.adversarial_loss(tf.ones_like(real), real))
            discriminator_loss += tf.reduce_mean(self.adversarial_loss(tf.zeros_like(made), made))
        weights = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply_gradients(zip(tape.gradient(discriminator_loss, weights), weights))
        with tf.GradientTape() as tape:
            generated = $generate
            made = self.discriminator(generated, training=True)
            loss = tf.reduce_mean(self.adversarial_loss(tf.ones_like(made), made))
            $extra
        weights = self.generator.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return {"loss": loss, "discriminator_loss": discriminator_loss}


def build_model(config: Config) -> keras.Model:
    """Return both networks, compiled as one model."""
    model = AdversarialModel(build_generator(config), build_discriminator(config), config)
    model.compile(
        optimizer=make_optimizer(config),
        discriminator_optimizer=make_optimizer(config),
        loss=$loss,
    )
    return model
''',
}
NOISE = {
    "make": (
        "def make_images(self, count: int) -> np.ndarray:\n"
        '    """Return images (count, height, width, channels) made from noise."""\n'
        "    noise = np.random.default_rng(self.config.seed).normal(size=(count, self.config.latent_dim))\n"
        '    noise = noise.astype("float32")\n'
        "    return self.generator.predict(noise, batch_size=self.config.batch_size, verbose=0)"
    ),
    "batch": "images = data\nnoise = tf.random.normal((tf.shape(images)[0], self.config.latent_dim))",
    "generate": "self.generator(noise, training=True)",
    "extra": "",
}
PAIRED = {
    "make": (
        "def make_images(self, inputs: np.ndarray) -> np.ndarray:\n"
        '    """Return the images (count, height, width, channels) that the generator makes of inputs."""\n'
        "    return self.generator.predict(inputs, batch_size=self.config.batch_size, verbose=0)"
    ),
    "batch": "inputs, images = data",
    "generate": "self.generator(inputs, training=True)",
    "extra": "loss += 100.0 * tf.reduce_mean(tf.abs(images - generated))",
}
SECTIONS = {
    "train": '''
def train(config: Config) -> dict[str, float]:
    """Train both networks, save their weights and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    training, _, _ = load_data(config)
    model = build_model(config)
    history = model.fit(training, epochs=config.epochs, shuffle=False, verbose=2)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.generator.save_weights(output / "generator.weights.h5")
    model.discriminator.save_weights(output / "discriminator.weights.h5")
    measures = {name: float(values[-1]) for name, values in history.history.items()}
    (output / "metrics.json").write_text(json.dumps(measures, indent=2), encoding="utf-8")
    return measures
''',
    "evaluate": '''
def load_trained(config: Config) -> keras.Model:
    """Build the networks and load the weights that training saved."""
    model = build_model(config)
    model.generator.load_weights(Path(config.output_dir) / "generator.weights.h5")
    model.discriminator.load_weights(Path(config.output_dir) / "discriminator.weights.h5")
    return model


def evaluate(config: Config) -> dict[str, float]:
    """Measure how the made images compare with the real ones of the test split."""
    _, _, test = load_data(config)
    model = load_trained(config)
    $stacked
    made = $made
    scores = model.discriminator.predict(made, batch_size=config.batch_size, verbose=0)
    return {
        "discriminator_score": float(scores.mean()),
        "mean_difference": float(np.abs(made.mean() - images.mean())),
        "deviation_ratio": float(made.std() / (images.std() + 1e-7)),
    }
''',
    "predict": '''
def predict(config: Config) -> np.ndarray:
    """Return as many made images as the test split has real ones, and save them."""
    _, _, test = load_data(config)
    model = load_trained(config)
    $stacked
    made = $made
    np.save(Path(config.output_dir) / "predictions.npy", made)
    return made
''',
}
