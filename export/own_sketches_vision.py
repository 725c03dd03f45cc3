"""Requirements and plans of our own for pictures and video: sizes and classes vary and are copied.

Each function draws one sketch. They are written for this project and stand in for what the
published rows lack: plain imperative sentences, rare tasks, facts that must reappear in the plan.
"""

import random

from export.own_sketches import Sketch, pick

SIZES = (32, 48, 64, 96, 100, 128, 150, 160, 180, 200, 224, 256)
PAIRS = (
    ("violence", "non-violence"),
    ("cats", "dogs"),
    ("ripe", "unripe"),
    ("cracked", "intact"),
    ("healthy", "diseased"),
    ("fire", "no fire"),
    ("mask", "no mask"),
    ("real", "fake"),
    ("malignant", "benign"),
    ("day", "night"),
    ("normal", "pneumonia"),
    ("open", "closed"),
)
THINGS = (
    "flowers",
    "birds",
    "plant diseases",
    "handwritten digits",
    "traffic signs",
    "garbage",
    "skin lesions",
    "fruits",
    "vehicles",
    "facial expressions",
    "satellite scenes",
    "dog breeds",
    "galaxies",
    "food dishes",
)
BASES = (
    "VGG16",
    "ResNet50",
    "MobileNetV2",
    "EfficientNetB0",
    "InceptionV3",
    "Xception",
    "DenseNet121",
    "VGG19",
)


def image_shape(size: int, channels: int = 3) -> str:
    """Return the plan's text of an image batch's shape."""
    return f"(batch_size, {size}, {size}, {channels})"


def head(rng: random.Random, classes: int, binary: bool) -> tuple[list[str], str]:
    """Return the last layers of a classifier and the loss that goes with them."""
    layers = [
        f"Dense({rng.choice((64, 128, 256, 512))}, activation='relu')",
        f"Dropout({pick(rng, 0.3, 0.4, 0.5)})",
    ]
    if binary:
        return [*layers, "Dense(1, activation='sigmoid')"], "binary_crossentropy"
    loss = pick(
        rng, "categorical_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"
    )
    return [*layers, f"Dense({classes}, activation='softmax')"], loss


def convolutions(rng: random.Random, blocks: int) -> list[str]:
    """Return convolution and pooling blocks of growing width."""
    width, normalised, padded = pick(rng, 16, 32, 32), rng.random() < 0.4, rng.random() < 0.5
    layers = []
    for _ in range(blocks):
        layers.append(
            f"Conv2D({width}, (3, 3), activation='relu'{', padding=' + repr('same') if padded else ''})"
        )
        if normalised:
            layers.append("BatchNormalization()")
        layers.append("MaxPooling2D((2, 2))")
        width = min(256, width * 2)
    return layers


def image_classification(rng: random.Random) -> Sketch:
    """Draw a classifier of images: two named classes, or k of a kind; a CNN or a pretrained base."""
    size, classes, binary = pick(rng, *SIZES), rng.randint(3, 20), rng.random() < 0.5
    base = pick(rng, *BASES) if rng.random() < 0.4 else ""
    if binary:
        first, second = pick(rng, *PAIRS)
        task = pick(rng, f"classify images as {first} or {second}", f"tell {first} from {second} on photos")
    else:
        thing = pick(rng, *THINGS)
        task = pick(rng, f"classify {thing} into {classes} classes", f"recognise {classes} kinds of {thing}")
    layers, loss = head(rng, classes, binary)
    if base:
        body = [f"{base}(include_top=False, weights='imagenet', input_shape=({size}, {size}, 3))"]
        body.append(pick(rng, "GlobalAveragePooling2D()", "Flatten()"))
        task += pick(rng, f" with {base}", f" by transfer learning from {base}")
    else:
        body = [f"Input(shape=({size}, {size}, 3))", *convolutions(rng, pick(rng, 2, 3, 3, 4)), "Flatten()"]
        task += pick(rng, "", " with a CNN", " using a convolutional neural network", " using deep learning")
    output = (
        "(batch_size, 1), probability of the second class"
        if binary
        else f"(batch_size, {classes}), class probabilities"
    )
    return Sketch(
        task,
        "Image Classification",
        f"{image_shape(size)}, RGB images",
        output,
        f"Images resized to {size}x{size}, rescaled to [0, 1], augmented with flips and rotations, "
        "split into train, validation and test sets.",
        (*body, *layers),
        loss,
        size=size,
        classes=0 if binary else classes,
    )


def image_segmentation(rng: random.Random) -> Sketch:
    """Draw a U-Net."""
    size, width, depth = pick(rng, 64, 96, 128, 160, 192, 256), pick(rng, 16, 32), pick(rng, 2, 3)
    down, up = [], []
    for level in range(depth):
        down += [
            f"Conv2D({width << level}, (3, 3), activation='relu', padding='same')",
            "MaxPooling2D((2, 2))",
        ]
    for level in reversed(range(depth)):
        up += [f"Conv2DTranspose({width << level}, (2, 2), strides=(2, 2), padding='same')", "Concatenate()"]
        up.append(f"Conv2D({width << level}, (3, 3), activation='relu', padding='same')")
    thing = pick(
        rng,
        "roads in aerial images",
        "tumours in MRI scans",
        "cells under a microscope",
        "people on photos",
        "water in satellite images",
        "cracks in concrete",
        "lungs in x-ray images",
        "polyps",
    )
    how = pick(rng, "", " with a U-Net", " pixel by pixel", " from pairs of image and mask")
    return Sketch(
        f"segment {thing}{how}",
        "Image Segmentation",
        f"{image_shape(size)}, RGB images",
        f"{image_shape(size, 1)}, foreground probability of every pixel",
        f"Images and masks resized to {size}x{size}, images rescaled to [0, 1], masks to "
        "zeros and ones, mirrored alike.",
        (
            f"Input(shape=({size}, {size}, 3))",
            *down,
            f"Conv2D({width << depth}, (3, 3), activation='relu', padding='same')",
            *up,
            "Conv2D(1, (1, 1), activation='sigmoid')",
        ),
        pick(rng, "binary_crossentropy", "binary_crossentropy", "dice coefficient loss"),
        metric=pick(rng, "accuracy", "mean_io_u", "dice coefficient"),
        size=size,
    )


def object_detection(rng: random.Random) -> Sketch:
    """Draw a detector that regresses boxes."""
    size, thing = (
        pick(rng, 96, 128, 160, 224),
        pick(rng, "cars", "license plates", "faces", "helmets", "ships", "fruit"),
    )
    return Sketch(
        pick(
            rng,
            f"detect {thing} in images with bounding boxes",
            f"find {thing} in pictures and draw boxes around them",
        ),
        "Object Detection",
        f"{image_shape(size)}, RGB images",
        "(batch_size, 4), box corners divided by the image size",
        f"Images resized to {size}x{size} and rescaled to [0, 1], box corners divided by the image size.",
        (
            f"Input(shape=({size}, {size}, 3))",
            *convolutions(rng, 4),
            "Flatten()",
            f"Dense({pick(rng, 128, 256)}, activation='relu')",
            "Dense(4, activation='sigmoid')",
        ),
        pick(rng, "mean_squared_error", "huber"),
        metric="mean_io_u",
        size=size,
    )


def image_to_image(rng: random.Random) -> Sketch:
    """Draw an autoencoder that restores pictures."""
    size, width = pick(rng, 28, 64, 96, 128), pick(rng, 32, 64)
    task = pick(
        rng,
        "remove noise from photos",
        "denoise images with an autoencoder",
        "sharpen blurred pictures",
        "colourise grey images",
        "upscale low resolution images",
    )
    return Sketch(
        task,
        "Image-to-Image",
        f"{image_shape(size)}, degraded RGB images",
        f"{image_shape(size)}, restored RGB images",
        f"Images cropped to {size}x{size} and rescaled to [0, 1], degraded copies made "
        "from clean ones, split 80/10/10.",
        (
            f"Input(shape=({size}, {size}, 3))",
            f"Conv2D({width}, (3, 3), activation='relu', padding='same')",
            f"Conv2D({width * 2}, (3, 3), strides=2, activation='relu', padding='same')",
            f"Conv2D({width * 2}, (3, 3), activation='relu', padding='same')",
            f"Conv2DTranspose({width}, (3, 3), strides=2, activation='relu', padding='same')",
            "Conv2D(3, (3, 3), activation='sigmoid', padding='same')",
        ),
        pick(rng, "mean_squared_error", "mean_absolute_error"),
        metric="mean_absolute_error",
        size=size,
    )


def image_generation(rng: random.Random) -> Sketch:
    """Draw a DCGAN."""
    size, noise = pick(rng, 32, 64), pick(rng, 64, 100, 128)
    thing = pick(rng, "faces", "handwritten digits", "anime characters", "landscapes", "textures", "flowers")
    side = size // 8
    return Sketch(
        pick(
            rng,
            f"generate {thing} with a GAN",
            f"synthesise new images of {thing} from noise",
            f"train a DCGAN on {thing}",
        ),
        "Image Generation",
        f"{image_shape(size)}, RGB images",
        f"{image_shape(size)}, generated RGB images",
        f"Images resized to {size}x{size} and rescaled to [-1, 1], noise vectors of length {noise}.",
        (
            f"Input(shape=({noise},))",
            f"Dense({side * side * 128})",
            f"Reshape(({side}, {side}, 128))",
            "BatchNormalization()",
            "Conv2DTranspose(128, 4, strides=2, padding='same', activation='relu')",
            "BatchNormalization()",
            "Conv2DTranspose(64, 4, strides=2, padding='same', activation='relu')",
            "BatchNormalization()",
            "Conv2DTranspose(3, 4, strides=2, padding='same', activation='tanh')",
            "Conv2D(64, 4, strides=2, padding='same')",
            "LeakyReLU(0.2)",
            "Conv2D(128, 4, strides=2, padding='same')",
            "LeakyReLU(0.2)",
            "Flatten()",
            "Dense(1, activation='sigmoid')",
        ),
        "binary_crossentropy",
        metric="loss",
        learning_rate=0.0002,
        epochs=pick(rng, 50, 100),
        size=size,
    )


def image_to_text(rng: random.Random) -> Sketch:
    """Draw a captioner."""
    size, words, length = pick(rng, 96, 128, 224), pick(rng, 5000, 8000, 10000), pick(rng, 20, 30, 34)
    return Sketch(
        pick(
            rng,
            "write captions for photographs",
            "describe images in a sentence",
            "caption pictures with a CNN and an LSTM",
        ),
        "Image-to-Text",
        f"{image_shape(size)}, RGB images, and (batch_size, {length}), words so far",
        f"(batch_size, {length}, {words}), next word of the caption",
        f"Images resized to {size}x{size} and rescaled to [0, 1], captions lower-cased "
        f"and padded to {length} words.",
        (
            f"Input(shape=({size}, {size}, 3))",
            *convolutions(rng, 3),
            "GlobalAveragePooling2D()",
            "Dense(256, activation='relu')",
            f"Input(shape=({length},))",
            f"Embedding({words}, 256, mask_zero=True)",
            "LSTM(256, return_sequences=True)",
            "Add()",
            f"Dense({words}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
        metric=pick(rng, "accuracy", "bleu score"),
        size=size,
    )


def image_regression(rng: random.Random) -> Sketch:
    """Draw a network that estimates a number from a picture."""
    size = pick(rng, *SIZES)
    quantity = pick(
        rng,
        "age from face photos",
        "weight of a pig from photos",
        "price of a painting from its image",
        "number of people in a crowd image",
        "angle of a steering wheel from camera frames",
    )
    layers = [f"Dense({pick(rng, 64, 128)}, activation='relu')", "Dropout(0.3)", "Dense(1)"]
    return Sketch(
        f"{pick(rng, 'estimate', 'predict')} the {quantity}",
        "Image Regression",
        f"{image_shape(size)}, RGB images",
        "(batch_size, 1), number to estimate",
        f"Images resized to {size}x{size} and rescaled to [0, 1], rows shuffled and split 70/15/15.",
        (f"Input(shape=({size}, {size}, 3))", *convolutions(rng, 3), "GlobalAveragePooling2D()", *layers),
        pick(rng, "mean_squared_error", "mean_absolute_error"),
        metric="mean_absolute_error",
        size=size,
    )


def video_classification(rng: random.Random) -> Sketch:
    """Draw a per-frame CNN under a recurrent layer."""
    size, frames, classes = pick(rng, 48, 64, 96, 112), pick(rng, 10, 12, 16, 20), rng.randint(3, 12)
    thing = pick(rng, "gestures", "actions", "sports", "exercises", "sign language words")
    recurrent = pick(rng, "LSTM", "GRU")
    return Sketch(
        pick(
            rng,
            f"recognise {classes} {thing} in short video clips",
            f"classify videos of {thing} into {classes} classes",
        ),
        "Video Classification",
        f"(batch_size, {frames}, {size}, {size}, 3), RGB frames of a clip",
        f"(batch_size, {classes}), class probabilities",
        f"{frames} frames sampled evenly from each clip, resized to {size}x{size} and rescaled to [0, 1].",
        (
            f"Input(shape=({frames}, {size}, {size}, 3))",
            "TimeDistributed(Conv2D(16, (3, 3), activation='relu'))",
            "TimeDistributed(MaxPooling2D((2, 2)))",
            "TimeDistributed(Conv2D(32, (3, 3), activation='relu'))",
            "TimeDistributed(MaxPooling2D((2, 2)))",
            "TimeDistributed(Flatten())",
            f"{recurrent}({pick(rng, 32, 64, 128)})",
            "Dropout(0.4)",
            f"Dense({classes}, activation='softmax')",
        ),
        "categorical_crossentropy",
        batch_size=8,
        size=size,
        classes=classes,
    )


VISION = (
    image_classification,
    image_segmentation,
    object_detection,
    image_to_image,
    image_generation,
    image_to_text,
    image_regression,
    video_classification,
)
