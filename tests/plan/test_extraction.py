"""What `plan_from_code` reads, on small programs in the styles that people use."""

import textwrap

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.extraction import extract, plan_from_code
from dlcodegen_local.plan.schema import Plan


def read(source: str) -> Plan:
    return plan_from_code(textwrap.dedent(source))


def test_sequential_list_with_every_hyperparameter() -> None:
    plan = read(
        """
        import keras
        model = keras.Sequential([
            keras.layers.Input(shape=(28, 28, 1)),
            keras.layers.Conv2D(32, (3, 3), activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="classes"),
        ])
        model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
                      loss="categorical_crossentropy", metrics=["acc"])
        model.fit(images, labels, batch_size=64, epochs=7)
        """
    )
    assert plan.layers == (
        "Input(shape=(28, 28, 1))",
        "Conv2D(32, (3, 3), activation='relu')",
        "Flatten()",
        "Dense(10, activation='softmax')",
    )
    assert (plan.optimizer, plan.loss, plan.metric) == ("sgd", "categorical_crossentropy", "accuracy")
    assert (plan.learning_rate, plan.batch_size, plan.epochs) == (0.05, 64, 7)
    assert plan.dataset_input == "(batch_size, 28, 28, 1)"
    assert plan.dataset_output == "(batch_size, 10)"
    assert plan.category == "Image Classification"


def test_config_defaults_reach_layers_and_training() -> None:
    plan = read(
        """
        from dataclasses import dataclass, field
        from tensorflow import keras
        from tensorflow.keras import layers

        @dataclass
        class Config:
            units: int = 8 * 4
            rates: tuple = field(default=(0.1, 0.2))
            optimizer: str = "rmsprop"
            learning_rate: float = 3e-4
            batch_size: int = 16
            epochs: int = 12

        def build_model(config):
            model = keras.Sequential()
            model.add(layers.Dense(config.units, input_shape=(4,)))
            for rate in config.rates:
                model.add(layers.Dropout(rate))
            settings = {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
            model.compile(optimizer=keras.optimizers.get(settings), loss="mse")
            return model

        def train(config):
            model = build_model(config)
            model.fit(x, y, batch_size=config.batch_size, epochs=config.epochs)

        train(Config())
        """
    )
    assert plan.layers == ("Dense(32, input_shape=(4,))", "Dropout(0.1)", "Dropout(0.2)")
    assert (plan.optimizer, plan.learning_rate, plan.loss) == ("rmsprop", 3e-4, "mean_squared_error")
    assert (plan.batch_size, plan.epochs) == (16, 12)
    assert plan.dataset_input == "(batch_size, 4)"


def test_helper_functions_and_loops_are_expanded_in_the_order_of_the_data() -> None:
    plan = read(
        """
        from tensorflow.keras.layers import *
        from tensorflow.keras.models import Model

        def block(x, filters):
            x = Conv2D(filters, 3, padding="same")(x)
            return Activation("relu")(x)

        def unet():
            late = Conv2D(1, 1)
            inputs = Input((64, 64, 3))
            skip = block(inputs, 8)
            x = MaxPooling2D()(skip)
            for filters in (16, 32):
                x = block(x, filters)
            x = UpSampling2D()(x)
            unused = Dense(99)(x)
            return Model(inputs, late(concatenate([x, skip])))

        model = unet()
        """
    )
    assert plan.layers == (
        "Input((64, 64, 3))",
        "Conv2D(8, 3, padding='same')",
        "Activation('relu')",
        "MaxPooling2D()",
        "Conv2D(16, 3, padding='same')",
        "Activation('relu')",
        "Conv2D(32, 3, padding='same')",
        "Activation('relu')",
        "UpSampling2D()",
        "Concatenate()",
        "Conv2D(1, 1)",
    )
    assert plan.dataset_output == "(batch_size, 64, 64, 1)"


def test_subclassed_model_stands_in_the_order_of_its_call() -> None:
    plan = read(
        """
        import tensorflow as tf

        class Attention(tf.keras.layers.Layer):
            def __init__(self, heads):
                super().__init__()

        class Net(tf.keras.Model):
            def __init__(self, units=5):
                super().__init__()
                self.out = tf.keras.layers.Dense(units)
                self.blocks = [tf.keras.layers.LSTM(n, return_sequences=True) for n in (64, 32)]
                self.attend = Attention(heads=2)

            def call(self, inputs, training=False):
                for block in self.blocks:
                    inputs = block(inputs)
                return self.out(self.attend(inputs))

        net = Net()
        net.compile("adam", tf.keras.losses.Huber())
        """
    )
    assert plan.layers == (
        "LSTM(64, return_sequences=True)",
        "LSTM(32, return_sequences=True)",
        "Attention(heads=2)",
        "Dense(5)",
    )
    assert (plan.optimizer, plan.loss, plan.learning_rate) == ("adam", "huber", 0.001)


def test_pretrained_base_is_one_layer() -> None:
    plan = read(
        """
        from tensorflow.keras.applications import VGG16
        from tensorflow.keras import layers, models
        base = VGG16(include_top=False, input_shape=(224, 224, 3))
        for layer in base.layers[:10]:
            layer.trainable = False
        x = layers.GlobalAveragePooling2D()(base.layers[-2].output)
        model = models.Model(inputs=base.input, outputs=layers.Dense(2)(x))
        """
    )
    assert plan.layers == (
        "VGG16(include_top=False, input_shape=(224, 224, 3))",
        "GlobalAveragePooling2D()",
        "Dense(2)",
    )
    assert plan.dataset_input == "(batch_size, 224, 224, 3)"


def test_adversarial_training_loop() -> None:
    plan = read(
        """
        import keras
        import tensorflow as tf
        BATCH = 32
        EPOCHS = 40
        generator = keras.Sequential([keras.layers.Dense(49, input_shape=(100,))])
        discriminator = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
        entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        generator_optimizer = keras.optimizers.Adam(1e-4)
        discriminator_optimizer = keras.optimizers.Adam(4e-4)

        def train_step(images):
            with tf.GradientTape() as tape:
                scores = discriminator(generator(tf.random.normal([BATCH, 100])))
                loss = entropy(tf.ones_like(scores), scores)
            generator_optimizer.apply_gradients(zip(tape.gradient(loss, generator.variables), []))

        dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(1000).batch(BATCH)
        for epoch in range(EPOCHS):
            for batch in dataset:
                train_step(batch)
        """
    )
    assert plan.layers == ("Dense(49, input_shape=(100,))", "Dense(1, activation='sigmoid')")
    assert (plan.optimizer, plan.learning_rate, plan.loss) == ("adam", 1e-4, "binary_crossentropy")
    assert (plan.batch_size, plan.epochs) == (32, 40)


def test_learning_rate_schedule_gives_its_first_rate() -> None:
    plan = read(
        """
        import keras
        schedule = keras.optimizers.schedules.CosineDecay(initial_learning_rate=2e-3, decay_steps=100)
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(optimizer=keras.optimizers.AdamW(learning_rate=schedule), loss="mae")
        """
    )
    assert (plan.optimizer, plan.learning_rate) == ("adamw", 2e-3)


def test_command_line_defaults_count() -> None:
    plan = read(
        """
        import argparse
        import keras
        parser = argparse.ArgumentParser()
        parser.add_argument("--hidden-units", type=int, default=48)
        args = parser.parse_args()
        model = keras.Sequential([keras.layers.Dense(args.hidden_units)])
        """
    )
    assert plan.layers == ("Dense(48)",)


def test_a_name_without_a_value_stays_a_name() -> None:
    plan = read(
        """
        import keras
        classes = len(load_labels())
        model = keras.Sequential([keras.layers.Dense(classes), keras.layers.Dense(2 * width)])
        """
    )
    assert plan.layers == ("Dense(classes)", "Dense(2 * width)")


def test_model_functions_that_nothing_calls_are_followed() -> None:
    plan = read(
        """
        import keras
        def create(num_classes, units=6):
            return keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(num_classes)])
        """
    )
    assert plan.layers == ("Dense(6)", "Dense(num_classes)")


def test_initialisers_stand_in_the_full_layers_only() -> None:
    extraction = extract(
        "import keras\nkeras.Sequential([keras.layers.Dense(3, kernel_initializer='he_normal')])"
    )
    assert extraction.plan.layers == ("Dense(3)",)
    assert extraction.layers == ("Dense(3, kernel_initializer='he_normal')",)


def test_notebook_magics_are_left_out() -> None:
    plan = read(
        """
        %matplotlib inline
        !pip install keras
        import keras
        model = keras.Sequential([keras.layers.Dense(3)])
        """
    )
    assert plan.layers == ("Dense(3)",)


@pytest.mark.parametrize(
    "source",
    ["def f(:", "print 'two'", "x = 1\0", "x = " + "[" * 5000 + "]" * 5000, "x = a" + "(1)" * 5000],
    ids=["syntax", "python 2", "nul", "brackets", "chain"],
)
def test_unreadable_code_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_from_code(source)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        "x = [x, x]",
        "x = f'{x}{x}'",
        "x = x + x",
        "layer = keras.layers.Bidirectional(layer, layer)",
        "model = keras.Sequential([model, model])",
        "x = 9 ** 9 ** 9",
    ],
)
def test_code_that_grows_without_end_is_read_in_bounded_work(body: str) -> None:
    source = f"""
        import keras
        x = [1, 2]
        layer = keras.layers.Dense(3)
        model = keras.Sequential([layer])
        for i in range(60):
            {body}
        model.compile(loss=x)
        """
    assert "Dense(3)" in read(source).layers


def test_code_without_a_model_gives_a_plan_that_is_open() -> None:
    plan = read("total = sum(range(10))")
    assert plan.layers == ()
    assert (plan.optimizer, plan.loss, plan.learning_rate, plan.batch_size) == ("", "", None, None)
