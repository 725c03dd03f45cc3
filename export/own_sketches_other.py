"""Requirements and plans of our own for tables, series, sound and the rest."""

import random

from export.own_sketches import Sketch, pick

TABLE_PREPROCESS = (
    "Missing values filled, categories encoded, columns standardised with training statistics, "
    "split 70/15/15."
)


def _table_body(rng: random.Random, columns: int) -> tuple[str, ...]:
    width = pick(rng, 32, 64, 128)
    return (
        f"Input(shape=({columns},))",
        f"Dense({width}, activation='relu')",
        f"Dropout({pick(rng, 0.2, 0.3)})",
        f"Dense({width // 2}, activation='relu')",
    )


def tabular_regression(rng: random.Random) -> Sketch:
    """Draw a network that predicts a number from the columns of a table."""
    columns = rng.randint(5, 40)
    things = ("house prices", "rents", "salaries", "fuel consumption", "crop yields", "car prices")
    thing = pick(rng, *things, "energy use of buildings", "insurance costs", "delivery times")
    origin = pick(rng, "", " from a table", " from a CSV file", f" from {columns} features")
    return Sketch(
        f"predict {thing}{origin}",
        "Tabular Regression",
        f"(batch_size, {columns}), numeric features",
        "(batch_size, 1), number to predict",
        TABLE_PREPROCESS,
        (*_table_body(rng, columns), "Dense(1)"),
        pick(rng, "mean_squared_error", "mean_absolute_error"),
        pick(rng, "mean_absolute_error", "root_mean_squared_error"),
        epochs=pick(rng, 50, 100),
    )


def tabular_yes_or_no(rng: random.Random) -> Sketch:
    """Draw a network that predicts a yes or no from the columns of a table."""
    columns = rng.randint(5, 40)
    things = ("predict customer churn", "predict loan default", "tell whether a patient has diabetes")
    task = pick(rng, *things, "predict heart disease", "predict who survives", "decide whether a client buys")
    return Sketch(
        task + pick(rng, "", f" from {columns} columns", " from tabular data"),
        "Tabular Classification",
        f"(batch_size, {columns}), numeric features",
        "(batch_size, 1), probability",
        TABLE_PREPROCESS,
        (*_table_body(rng, columns), "Dense(1, activation='sigmoid')"),
        "binary_crossentropy",
        pick(rng, "accuracy", "auc"),
    )


def tabular_classes(rng: random.Random) -> Sketch:
    """Draw a network that predicts one of several classes from the columns of a table."""
    columns, classes = rng.randint(5, 40), rng.randint(3, 8)
    task = pick(
        rng,
        f"classify wines into {classes} qualities",
        f"sort customers into {classes} segments from a table",
        f"predict one of {classes} soil types from measurements",
    )
    return Sketch(
        task,
        "Tabular Classification",
        f"(batch_size, {columns}), numeric features",
        f"(batch_size, {classes}), class probabilities",
        TABLE_PREPROCESS,
        (*_table_body(rng, columns), f"Dense({classes}, activation='softmax')"),
        "sparse_categorical_crossentropy",
        classes=classes,
    )


def forecast(rng: random.Random) -> Sketch:
    """Draw a recurrent forecast of a series."""
    steps, features, ahead = pick(rng, 24, 30, 48, 60, 168), rng.randint(1, 8), pick(rng, 1, 1, 7, 12, 24)
    recurrent, units = pick(rng, "LSTM", "GRU"), pick(rng, 32, 50, 64)
    things = ("electricity demand", "stock prices", "temperatures", "sales", "traffic", "air quality")
    how = pick(rng, "", f" with an {recurrent}", f" from the last {steps} steps", f" {ahead} steps ahead")
    return Sketch(
        f"forecast {pick(rng, *things)}{how}",
        "Time Series Forecasting",
        f"(batch_size, {steps}, {features}), windows of measurements",
        f"(batch_size, {ahead}), coming values",
        "Series split in time, standardised with training statistics, "
        f"cut into sliding windows of {steps} steps.",
        (
            f"Input(shape=({steps}, {features}))",
            f"{recurrent}({units}, return_sequences=True)",
            "Dropout(0.2)",
            f"{recurrent}({units})",
            f"Dense({ahead})",
        ),
        "mean_squared_error",
        "mean_absolute_error",
        epochs=pick(rng, 30, 50, 100),
    )


def series_classification(rng: random.Random) -> Sketch:
    """Draw a one-dimensional convolutional classifier of series."""
    length, features, classes = pick(rng, 128, 187, 200, 500), rng.randint(1, 8), rng.randint(2, 8)
    thing = pick(rng, "ECG heartbeats", "accelerometer signals", "EEG recordings", "motor vibrations")
    units = pick(rng, 32, 50, 64)
    return Sketch(
        f"classify {thing} into {classes} classes",
        "Time Series Classification",
        f"(batch_size, {length}, {features}), samples of one series",
        f"(batch_size, {classes}), class probabilities",
        f"Series standardised one by one, cut to {length} samples, shuffled and split 70/15/15.",
        (
            f"Input(shape=({length}, {features}))",
            f"Conv1D({units}, 5, activation='relu')",
            "MaxPooling1D(2)",
            f"Conv1D({units * 2}, 5, activation='relu')",
            "GlobalAveragePooling1D()",
            "Dropout(0.3)",
            f"Dense({classes}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
        classes=classes,
    )


def audio_classification(rng: random.Random) -> Sketch:
    """Draw a classifier of recordings by their spectrograms."""
    frames, bins, classes = pick(rng, 98, 128, 173, 200), pick(rng, 40, 64, 128), rng.randint(3, 12)
    things = ("spoken commands", "environmental sounds", "music genres", "bird songs", "engine noises")
    thing = pick(rng, *things)
    return Sketch(
        pick(
            rng,
            f"recognise {classes} {thing} from audio clips",
            f"classify {thing} in wav files into {classes} classes",
        ),
        "Audio Classification",
        f"(batch_size, {frames}, {bins}, 1), log-mel spectrograms",
        f"(batch_size, {classes}), class probabilities",
        "Recordings mixed to mono and cut to one length, "
        f"log-mel spectrograms of {frames} frames and {bins} bins.",
        (
            f"Input(shape=({frames}, {bins}, 1))",
            "Conv2D(32, (3, 3), activation='relu')",
            "MaxPooling2D((2, 2))",
            "Conv2D(64, (3, 3), activation='relu')",
            "MaxPooling2D((2, 2))",
            "GlobalAveragePooling2D()",
            "Dropout(0.3)",
            f"Dense({classes}, activation='softmax')",
        ),
        pick(rng, "categorical_crossentropy", "sparse_categorical_crossentropy"),
        classes=classes,
    )


def speech_recognition(rng: random.Random) -> Sketch:
    """Draw a recogniser of letters."""
    frames, bins = pick(rng, 98, 128, 173, 200), pick(rng, 40, 64, 128)
    tasks = ("transcribe speech to text", "recognise speech with CTC", "turn spoken sentences into letters")
    return Sketch(
        pick(rng, *tasks),
        "Speech Recognition",
        f"(batch_size, {frames}, {bins}), spectrogram frames",
        f"(batch_size, {frames // 2}, 29), letter probabilities of every second frame",
        "Recordings cut or padded to one length, log spectrograms standardised, "
        "transcripts reduced to letters and numbered.",
        (
            f"Input(shape=({frames}, {bins}))",
            "Conv1D(128, 11, strides=2, padding='same', activation='relu')",
            "BatchNormalization()",
            "Bidirectional(GRU(128, return_sequences=True))",
            "Dropout(0.3)",
            "Bidirectional(GRU(128, return_sequences=True))",
            "Dense(29, activation='softmax')",
        ),
        "ctc loss",
    )


def recommendation(rng: random.Random) -> Sketch:
    """Draw a recommender over user and item embeddings."""
    users, items, width = rng.randint(5, 60) * 100, rng.randint(5, 60) * 100, pick(rng, 16, 32, 50)
    thing = pick(rng, "movies", "books", "songs", "products", "restaurants", "articles")
    return Sketch(
        pick(rng, f"recommend {thing} to users", f"predict how users rate {thing}"),
        "Recommendation",
        "(batch_size,), user numbers, and (batch_size,), item numbers",
        "(batch_size, 1), rating",
        "Users and items numbered from 1, ratings shuffled and split 80/10/10.",
        (
            "Input(shape=(1,))",
            f"Embedding({users}, {width})",
            "Flatten()",
            "Input(shape=(1,))",
            f"Embedding({items}, {width})",
            "Flatten()",
            "Concatenate()",
            "Dense(64, activation='relu')",
            "Dense(1)",
        ),
        "mean_squared_error",
        "mean_absolute_error",
        batch_size=pick(rng, 128, 256),
    )


def anomaly_detection(rng: random.Random) -> Sketch:
    """Draw an autoencoder of normal readings."""
    columns = rng.randint(6, 40)
    thing = pick(rng, "sensor readings", "card payments", "network traffic", "machine logs")
    return Sketch(
        pick(rng, f"detect anomalies in {thing}", f"find outliers in {thing} with an autoencoder"),
        "Anomaly Detection",
        f"(batch_size, {columns}), numeric readings",
        f"(batch_size, {columns}), reconstructed readings",
        "Readings standardised with statistics of normal training rows, mixed rows kept for testing.",
        (
            f"Input(shape=({columns},))",
            "Dense(32, activation='relu')",
            "Dense(8, activation='relu')",
            "Dense(32, activation='relu')",
            f"Dense({columns})",
        ),
        "mean_squared_error",
        "mean_absolute_error",
        epochs=50,
    )


def reinforcement_learning(rng: random.Random) -> Sketch:
    """Draw a deep Q-network."""
    states, actions = pick(rng, 4, 6, 8, 16), rng.randint(2, 5)
    thing = pick(rng, "balance a pole", "walk through a maze", "play a board game", "land a rocket")
    return Sketch(
        pick(rng, f"train an agent to {thing}", f"{thing} with deep Q-learning"),
        "Reinforcement Learning",
        f"(batch_size, {states}), state of the game",
        f"(batch_size, {actions}), value of each action",
        "States scaled to [-1, 1], transitions kept in a replay buffer.",
        (
            f"Input(shape=({states},))",
            "Dense(64, activation='relu')",
            "Dense(64, activation='relu')",
            f"Dense({actions})",
        ),
        "huber",
        "custom score metric",
        batch_size=64,
        epochs=200,
    )


def graph_learning(rng: random.Random) -> Sketch:
    """Draw a graph convolutional classifier of nodes."""
    words, classes = rng.randint(5, 90) * 10, rng.randint(3, 7)
    return Sketch(
        pick(
            rng,
            f"classify the nodes of a graph into {classes} classes",
            "predict the topic of papers in a citation graph",
        ),
        "Graph Learning",
        f"(batch_size, nodes, {words}), node features, and (batch_size, nodes, nodes), adjacency",
        f"(batch_size, nodes, {classes}), class probabilities of every node",
        "Features normalised per node, adjacency with self-loops normalised symmetrically, "
        "nodes split 60/20/20.",
        (
            f"Input(shape=(None, {words}))",
            "Input(shape=(None, None))",
            "Dropout(0.5)",
            "GraphConvolution(32, activation='relu')",
            "Dropout(0.5)",
            "GraphConvolution(32, activation='relu')",
            f"Dense({classes}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
        learning_rate=0.01,
        epochs=200,
        batch_size=1,
        classes=classes,
    )


OTHER = (
    tabular_regression,
    tabular_yes_or_no,
    tabular_classes,
    forecast,
    series_classification,
    audio_classification,
    speech_recognition,
    recommendation,
    anomaly_detection,
    reinforcement_learning,
    graph_learning,
)
