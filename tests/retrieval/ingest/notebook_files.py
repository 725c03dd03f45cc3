"""Small notebooks made in code."""

import json

MODEL = """\
import keras
from keras import layers

model = keras.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10)])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, labels, batch_size=32, epochs=5)
"""


def code(source, **more):
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **more}


def markdown(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def notebook(*cells, metadata=None, **more):
    table = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata or {}, "cells": list(cells), **more}
    return json.dumps(table).encode()
