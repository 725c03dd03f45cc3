"""Requirements and plans of our own around networks that people call by name."""

import random

from export.own_sketches import Sketch, pick
from export.own_sketches_vision import SIZES, head, image_shape

NAMED_BASES = (
    "VGG16",
    "VGG19",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "ResNet50V2",
    "MobileNet",
    "MobileNetV2",
    "EfficientNetB0",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetV2B0",
    "InceptionV3",
    "InceptionResNetV2",
    "Xception",
    "DenseNet121",
    "DenseNet201",
    "NASNetMobile",
    "ConvNeXtTiny",
)


def named_base(rng: random.Random) -> Sketch:
    """Draw a classifier of images on a pretrained network."""
    size, classes, binary = pick(rng, *SIZES[5:], 224, 224), rng.randint(3, 120), rng.random() < 0.4
    base = pick(rng, *NAMED_BASES)
    layers, loss = head(rng, classes, binary)
    pooling = pick(rng, "GlobalAveragePooling2D()", "GlobalAveragePooling2D()", "Flatten()")
    return Sketch(
        f"classify images with {base}",
        "Image Classification",
        f"{image_shape(size)}, RGB images",
        "(batch_size, 1), probability of the second class"
        if binary
        else f"(batch_size, {classes}), class probabilities",
        f"Images resized to {size}x{size}, rescaled to [0, 1], augmented with flips and rotations, "
        "split into train, validation and test sets.",
        (
            f"{base}(include_top=False, weights='imagenet', input_shape=({size}, {size}, 3))",
            pooling,
            *layers,
        ),
        loss,
        learning_rate=pick(rng, 0.0001, 0.0001, 0.001),
        size=size,
        classes=0 if binary else classes,
    )


def bert_classification(rng: random.Random) -> Sketch:
    """Draw a classifier of texts on a pretrained language model."""
    length, classes, binary = pick(rng, 64, 128, 128, 256), rng.randint(3, 20), rng.random() < 0.5
    name, weights = pick(
        rng,
        ("TFBertModel", "bert-base-uncased"),
        ("TFBertModel", "bert-base-uncased"),
        ("TFDistilBertModel", "distilbert-base-uncased"),
        ("TFRobertaModel", "roberta-base"),
    )
    return Sketch(
        "classify texts with BERT",
        "Text Classification",
        f"(batch_size, {length}), token numbers",
        "(batch_size, 1), probability" if binary else f"(batch_size, {classes}), class probabilities",
        f"Texts split into word pieces by the model's own tokenizer and padded to {length} tokens.",
        (
            f"Input(shape=({length},))",
            f"{name}.from_pretrained('{weights}')",
            "GlobalAveragePooling1D()",
            f"Dropout({pick(rng, 0.1, 0.2, 0.3)})",
            "Dense(1, activation='sigmoid')" if binary else f"Dense({classes}, activation='softmax')",
        ),
        "binary_crossentropy" if binary else "sparse_categorical_crossentropy",
        learning_rate=pick(rng, 2e-05, 3e-05, 5e-05),
        batch_size=pick(rng, 8, 16, 32),
        epochs=pick(rng, 3, 4, 5),
        classes=0 if binary else classes,
    )


def class_segmentation(rng: random.Random) -> Sketch:
    """Draw a U-Net that gives every pixel one of several classes."""
    size, classes, width = pick(rng, 64, 96, 128, 256), rng.randint(3, 21), pick(rng, 16, 32)
    return Sketch(
        f"segment images into {classes} classes",
        "Image Segmentation",
        f"{image_shape(size)}, RGB images",
        f"{image_shape(size, classes)}, class probabilities of every pixel",
        f"Images and masks resized to {size}x{size}, images rescaled to [0, 1], masks kept as class "
        "numbers, mirrored alike.",
        (
            f"Input(shape=({size}, {size}, 3))",
            f"Conv2D({width}, (3, 3), activation='relu', padding='same')",
            "MaxPooling2D((2, 2))",
            f"Conv2D({width * 2}, (3, 3), activation='relu', padding='same')",
            "MaxPooling2D((2, 2))",
            f"Conv2D({width * 4}, (3, 3), activation='relu', padding='same')",
            f"Conv2DTranspose({width * 2}, (2, 2), strides=(2, 2), padding='same')",
            "Concatenate()",
            f"Conv2D({width * 2}, (3, 3), activation='relu', padding='same')",
            f"Conv2DTranspose({width}, (2, 2), strides=(2, 2), padding='same')",
            "Concatenate()",
            f"Conv2D({width}, (3, 3), activation='relu', padding='same')",
            f"Conv2D({classes}, (1, 1), activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
        metric=pick(rng, "accuracy", "mean_io_u"),
        size=size,
        classes=classes,
    )
