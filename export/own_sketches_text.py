"""Requirements and plans of our own for texts: lengths and classes vary and are copied."""

import random

from export.own_sketches import Sketch, pick


def _recurrent(rng: random.Random, units: int) -> str:
    layer = f"{pick(rng, 'LSTM', 'GRU')}({units})"
    return f"Bidirectional({layer})" if rng.random() < 0.5 else layer


def text_classification(rng: random.Random) -> Sketch:
    """Draw a classifier of texts."""
    words, length, classes = pick(rng, 10000, 20000), pick(rng, 50, 100, 128, 200, 256), rng.randint(3, 12)
    binary = rng.random() < 0.5
    if binary:
        task = pick(
            rng,
            "classify movie reviews as positive or negative",
            "detect spam messages",
            "find toxic comments",
            "predict the sentiment of tweets",
            "tell fake news from real news",
        )
    else:
        task = pick(
            rng,
            f"sort news articles into {classes} topics",
            f"recognise {classes} intents in questions",
            f"classify emails into {classes} departments",
            f"detect {classes} emotions in texts",
        )
    last = "Dense(1, activation='sigmoid')" if binary else f"Dense({classes}, activation='softmax')"
    output = "(batch_size, 1), probability" if binary else f"(batch_size, {classes}), class probabilities"
    loss = "binary_crossentropy" if binary else "sparse_categorical_crossentropy"
    body = pick(
        rng,
        [_recurrent(rng, 64)],
        ["Conv1D(128, 5, activation='relu')", "GlobalMaxPooling1D()"],
        ["GlobalAveragePooling1D()"],
    )
    return Sketch(
        task + pick(rng, "", " with an LSTM" if "LSTM" in body[0] else ""),
        "Text Classification",
        f"(batch_size, {length}), word numbers",
        output,
        f"Texts lower-cased, split into words, mapped to a vocabulary of {words} and "
        f"padded to {length} words.",
        (
            f"Input(shape=({length},))",
            f"Embedding({words}, {pick(rng, 64, 100, 128)})",
            *body,
            f"Dense({pick(rng, 32, 64, 128)}, activation='relu')",
            f"Dropout({pick(rng, 0.3, 0.5)})",
            last,
        ),
        loss,
        classes=0 if binary else classes,
    )


def text_generation(rng: random.Random) -> Sketch:
    """Draw a language model."""
    words, length = pick(rng, 96, 5000, 10000), pick(rng, 40, 60, 80, 100)
    recurrent, units = pick(rng, "LSTM", "GRU"), pick(rng, 128, 256)
    thing = pick(rng, "poems", "song lyrics", "novels", "recipes", "headlines", "jokes")
    return Sketch(
        pick(
            rng, f"generate {thing}", f"write new {thing} word by word", f"train a language model on {thing}"
        ),
        "Text Generation",
        f"(batch_size, {length}), token numbers",
        f"(batch_size, {length}, {words}), next token",
        f"Texts split into tokens, numbered by frequency, cut into windows of {length} "
        "with the next token as target.",
        (
            f"Input(shape=({length},))",
            f"Embedding({words}, 128)",
            f"{recurrent}({units}, return_sequences=True)",
            "Dropout(0.2)",
            f"{recurrent}({units}, return_sequences=True)",
            f"Dense({words}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
    )


def pair_of_texts(rng: random.Random) -> Sketch:
    """Draw a sequence-to-sequence model: translation or summarisation."""
    words, units = pick(rng, 8000, 10000, 15000), pick(rng, 128, 256)
    if rng.random() < 0.6:
        first, second = rng.sample(
            ("English", "French", "German", "Spanish", "Italian", "Portuguese", "Hindi"), 2
        )
        task = pick(rng, f"translate {first} to {second}", f"translate {first} sentences into {second}")
        category, source, target = "Translation", pick(rng, 20, 24, 40), pick(rng, 20, 24, 40)
        texts = "Sentences"
    else:
        task = pick(
            rng,
            "summarise news articles",
            "write headlines for articles",
            "shorten long reviews to a sentence",
        )
        category, source, target = "Text Summarization", pick(rng, 100, 200, 300), pick(rng, 15, 20, 30)
        texts = "Texts and summaries"
    return Sketch(
        task,
        category,
        f"(batch_size, {source}), source words, and (batch_size, {target}), target words so far",
        f"(batch_size, {target}, {words}), next word",
        f"{texts} lower-cased, split into words, framed by start and end tokens, padded "
        f"to {source} and {target} words.",
        (
            f"Input(shape=({source},))",
            f"Embedding({words}, 128, mask_zero=True)",
            f"LSTM({units}, return_sequences=True)",
            f"Input(shape=({target},))",
            f"Embedding({words}, 128, mask_zero=True)",
            f"LSTM({units}, return_sequences=True)",
            "Attention()",
            "Concatenate()",
            f"Dense({words}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
    )


def question_answering(rng: random.Random) -> Sketch:
    """Draw a reader that points at the answer."""
    context, question, words = pick(rng, 150, 200, 300), pick(rng, 20, 30), pick(rng, 10000, 20000)
    return Sketch(
        pick(
            rng,
            "answer questions about a paragraph",
            "find the answer to a question in a text",
            "build a QA system",
        ),
        "Question Answering",
        f"(batch_size, {context}), context words, and (batch_size, {question}), question words",
        "(batch_size, 2), first and last word of the answer",
        f"Texts lower-cased and split into words, contexts padded to {context} and "
        f"questions to {question} words.",
        (
            f"Input(shape=({context},))",
            f"Input(shape=({question},))",
            f"Embedding({words}, 100)",
            "Bidirectional(GRU(64, return_sequences=True))",
            "Attention()",
            "Concatenate()",
            "Dropout(0.2)",
            f"Dense({context}, activation='softmax')",
            f"Dense({context}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
    )


def token_classification(rng: random.Random) -> Sketch:
    """Draw a tagger."""
    length, words, tags = pick(rng, 50, 75, 100), pick(rng, 10000, 20000), pick(rng, 5, 7, 9, 17)
    return Sketch(
        pick(
            rng,
            "find names of people and places in sentences",
            "recognise named entities with a BiLSTM",
            "tag the part of speech of every word",
        ),
        "Token Classification",
        f"(batch_size, {length}), word numbers",
        f"(batch_size, {length}, {tags}), tag probabilities",
        f"Words numbered by a vocabulary of {words}, sentences padded to {length} words, "
        "padding without weight.",
        (
            f"Input(shape=({length},))",
            f"Embedding({words}, 100)",
            "SpatialDropout1D(0.2)",
            "Bidirectional(LSTM(64, return_sequences=True))",
            "Dropout(0.3)",
            f"Dense({tags}, activation='softmax')",
        ),
        "sparse_categorical_crossentropy",
    )


TEXT = (
    text_classification,
    text_classification,
    text_generation,
    pair_of_texts,
    pair_of_texts,
    question_answering,
    token_classification,
)
