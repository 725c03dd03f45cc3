import ast

import pytest

from dlcodegen_local.retrieval.ingest.relevance import judge, names_of


@pytest.mark.parametrize(
    ("code", "num_layers", "framework"),
    [
        ("import keras\nmodel = keras.Sequential([])", 1, "keras"),
        ("from tensorflow.keras.layers import *\nx = Dense(3)(y)", 1, "keras"),
        ("import tensorflow as tf\nwith tf.GradientTape() as tape: pass", 0, "keras"),
        ("import torch.nn as nn\nclass Net(nn.Module): pass", 0, "torch"),
        ("import torch\nloss.backward()", 0, "torch"),
        ("import lightning as L\nclass Net(L.LightningModule): pass", 2, "torch"),
        ("import torch, tensorflow as tf\nclass Net(torch.nn.Module): pass\nloss.backward()", 3, "torch"),
        ("import torch, keras\nm = keras.Sequential([])\nm.fit(torch.zeros(3))", 3, "keras"),
        ("import tensorflow as tf\ns = tf.compat.v1.Session()", 3, "keras"),
    ],
)
def test_the_framework_is_what_builds_the_model(code, num_layers, framework):
    judged = judge(names_of(ast.parse(code)), num_layers)
    assert (judged.framework, judged.reason) == (framework, "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import pandas\nprint(1)", "imports neither Keras, TensorFlow nor PyTorch"),
        ("import jax\nx = jax.grad(f)", "uses JAX, which is not read"),
        ("import torch\nx = torch.zeros(3)", "neither builds nor trains a model"),
        ("from sklearn.svm import SVC\nSVC().fit(x, y)", "imports neither Keras, TensorFlow nor PyTorch"),
        ("from . import keras", "imports neither Keras, TensorFlow nor PyTorch"),
        (
            "import tensorflow as tf\nx = tf.placeholder(tf.float32)\ntf.Session().run(x)",
            "is TensorFlow 1 code (sessions) without a Keras model",
        ),
    ],
)
def test_all_else_says_why_it_is_no_deep_learning(code, reason):
    assert judge(names_of(ast.parse(code)), 0).reason == reason
