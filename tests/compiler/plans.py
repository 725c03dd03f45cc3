"""Plans of our own for the compiler's tests: one a category, and hostile ones."""

from dlcodegen_local.plan.schema import Plan


def make_plan(category: str, shapes: tuple[str, str], layers: tuple[str, ...], **fields: object) -> Plan:
    """Return a plan with usual hyperparameters; `fields` replaces them."""
    values: dict[str, object] = {
        "preprocess": "Scaled and split into three parts.",
        "optimizer": "adam",
        "loss": "sparse_categorical_crossentropy",
        "learning_rate": 0.002,
        "batch_size": 16,
        "epochs": 7,
        "metric": "accuracy",
    }
    return Plan(category, shapes[0], shapes[1], layers=layers, **(values | fields))  # type: ignore[arg-type]


TABLE = make_plan(
    "Tabular Classification",
    ("(batch_size, 9), sensor readings", "(batch_size, 4)"),
    (
        "Dense(24, activation='relu')",
        "BatchNormalization()",
        "Dropout(0.2)",
        "Dense(4, activation='softmax')",
    ),
)
PLANS = {
    "Tabular Classification": TABLE,
    "Tabular Regression": make_plan(
        "Tabular Regression",
        ("(None, 6)", "(None, 1), yield in kg"),
        ("Dense(32, activation='relu')", "Dense(1)"),
        loss="mean_squared_error",
        metric="mae",
    ),
    "Anomaly Detection": make_plan(
        "Anomaly Detection",
        ("(batch_size, 12)", "(batch_size, 12), reconstruction"),
        (
            "Dense(6, activation='relu')",
            "Dense(2, activation='relu')",
            "Dense(6, activation='relu')",
            "Dense(12)",
        ),
        loss="mean_squared_error",
        metric="mean_squared_error",
    ),
    "Recommendation": make_plan(
        "Recommendation",
        ("user ids and item ids", "(batch_size, 1), rating"),
        (
            "Embedding(num_users, 8)",
            "Embedding(num_items, 8)",
            "Concatenate()",
            "Dense(16, activation='relu')",
        ),
        loss="mse",
        metric="rmse",
    ),
    "Time Series Forecasting": make_plan(
        "Time Series Forecasting",
        ("(batch_size, 12, 2)", "(batch_size, 3)"),
        ("LSTM(16)", "LSTM(8)", "Dense(3)"),
        loss="huber",
        metric="mae",
    ),
    "Time Series Classification": make_plan(
        "Time Series Classification",
        ("(batch_size, 40, 2)", "(batch_size, 3)"),
        ("Conv1D(8, 3, activation='relu')", "GlobalMaxPooling1D()", "Dense(3, activation='softmax')"),
    ),
    "Image Classification": make_plan(
        "Image Classification",
        ("(batch_size, 24, 24, 3)", "(batch_size, 3)"),
        (
            "Conv2D(8, (3, 3), activation='relu')",
            "MaxPooling2D((2, 2))",
            "Flatten()",
            "Dense(3, activation='softmax')",
        ),
        preprocess="Rescaled to [0, 1]; random horizontal flips.",
    ),
    "Image Regression": make_plan(
        "Image Regression",
        ("(batch_size, 20, 20, 1)", "(batch_size, 1)"),
        ("Conv2D(4, 3)", "GlobalAveragePooling2D()", "Dense(1)"),
        loss="mean_absolute_error",
        metric="rmse",
    ),
    "Object Detection": make_plan(
        "Object Detection",
        ("(batch_size, 32, 32, 3)", "(batch_size, 4), box corners"),
        ("Conv2D(8, 3, activation='relu')", "MaxPooling2D()", "Flatten()", "Dense(4, activation='sigmoid')"),
        loss="mean_squared_error",
        metric="mae",
    ),
    "Image Segmentation": make_plan(
        "Image Segmentation",
        ("(batch_size, 32, 32, 3)", "(batch_size, 32, 32, 1)"),
        (
            "Conv2D(8, 3, padding='same', activation='relu')",
            "MaxPooling2D()",
            "Conv2D(16, 3, padding='same', activation='relu')",
            "UpSampling2D()",
            "Concatenate()",
            "Conv2D(1, 1, activation='sigmoid')",
        ),
        loss="dice loss",
        metric="IoU",
    ),
    "Image-to-Image": make_plan(
        "Image-to-Image",
        ("(batch_size, 24, 24, 1)", "(batch_size, 24, 24, 1)"),
        ("Conv2D(8, 3, padding='same')", "Conv2DTranspose(1, 3, padding='same', activation='sigmoid')"),
        loss="mse",
        metric="psnr",
    ),
    "Image Generation": make_plan(
        "Image Generation",
        ("noise of shape (batch_size, 16)", "(batch_size, 16, 16, 1)"),
        (
            "Generator: Dense(4*4*8), Reshape((4, 4, 8)), Conv2DTranspose(8, 4, strides=4, padding='same')",
            "Discriminator: Conv2D(8, 3, strides=2), LeakyReLU(0.2), Flatten(), Dense(1)",
        ),
        loss="binary_crossentropy",
        metric="",
    ),
    "Video Classification": make_plan(
        "Video Classification",
        ("(batch_size, 4, 16, 16, 3)", "(batch_size, 2)"),
        ("TimeDistributed(Conv2D(4, 3))", "TimeDistributed(GlobalAveragePooling2D())", "GRU(8)", "Dense(2)"),
        loss="categorical_crossentropy",
    ),
}
HOSTILE = (
    make_plan("Image Classification", ("photos", "labels"), (), optimizer="", loss="", metric=""),
    make_plan("Image Classification", ("(8, 8, 3)", "(5,)"), ("MaxPooling2D()",) * 9),
    make_plan(
        "Image Classification",
        ("(64, 64, 3)", "2 classes"),
        ("LSTM(8)", "Conv2D(4, 9)", "Dense(5)", "Dense(3)"),
    ),
    make_plan(
        "Image Classification", ("(4096, 4096, 3)", "(10,)"), ("Flatten()", "Dense(4096)", "Dense(10)")
    ),
    make_plan("Image Classification", ("(96, 96, 1)", "binary"), ("ResNet50 base", "VGG16", "quantum layer")),
    make_plan(
        "Image Segmentation",
        ("scans", "masks"),
        ("U-Net",),
        loss="focal tversky loss",
        metric="dice, mean IoU",
    ),
    make_plan("Image Segmentation", ("(64, 64, 3)", "(64, 64, 5)"), ("UpSampling2D((8, 8))",) * 6),
    make_plan(
        "Image Generation", ("", ""), ("Flatten()", "Dense(1)"), loss="Wasserstein with gradient penalty"
    ),
    make_plan(
        "Tabular Classification",
        ("(None, 30)", "(None, 2)"),
        ("Embedding(50, 8)", "LSTM(4)", "GRU(4)", "Dense(1)"),
    ),
    make_plan(
        "Tabular Classification",
        ("columns", "3 classes"),
        ("Dense(0)", "Dropout(7)", "Foo(bar=baz)", "Dense('x')"),
    ),
    make_plan(
        "Tabular Regression",
        ("(None, 5)", "(None, 2)"),
        ("Random Forest",),
        loss="custom score",
        metric="kappa",
    ),
    make_plan(
        "Time Series Forecasting",
        ("(None, 30, 4)", "(None, 6, 2)"),
        ("TimeDistributed(Dense(2))", "Attention()"),
    ),
    make_plan(
        "Video Classification",
        ("(None, 50, 720, 1280, 3)", "(None, 9)"),
        ("Conv2D(4, 3)", "Conv3D(4, 3)", "Flatten()"),
    ),
    make_plan(
        "Anomaly Detection",
        ("(None, 10, 3)", ""),
        ("LSTM(8)", "RepeatVector(10)", "LSTM(8)", "TimeDistributed(Dense(3))"),
    ),
)
