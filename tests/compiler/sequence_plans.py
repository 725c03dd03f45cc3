"""Plans of our own for text, audio, captioning, reinforcement and graph learning: usual and hostile ones."""

from tests.compiler.plans import make_plan

TEXT = make_plan(
    "Text Classification",
    ("(batch_size, 24), token ids of a review", "(batch_size, 3)"),
    (
        "Embedding(input_dim=500, output_dim=16)",
        "SpatialDropout1D(0.2)",
        "Bidirectional(LSTM(8))",
        "Dense(12, activation='relu')",
        "Dense(3, activation='softmax')",
    ),
    loss="categorical_crossentropy",
)
BERT = make_plan(
    "Text Classification",
    ("(batch_size, 20)", "(batch_size, 1), spam or not"),
    ("TFBertModel.from_pretrained('bert-base-uncased')", "Dropout(0.1)", "Dense(1, activation='sigmoid')"),
    loss="binary_crossentropy",
    metric="AUC",
)
PLANS = {
    "text": TEXT,
    "pretrained text": BERT,
    "bag of words": make_plan(
        "Text Classification",
        ("(batch_size, 400) tf-idf vectors", "(batch_size, 2)"),
        ("Dense(16, activation='relu')", "Dense(2, activation='softmax')"),
    ),
    "tags": make_plan(
        "Token Classification",
        ("(batch_size, 18)", "(batch_size, 18, 5)"),
        ("Embedding(300, 12)", "Bidirectional(LSTM(6))", "TimeDistributed(Dense(5, activation='softmax'))"),
    ),
    "span": make_plan(
        "Question Answering",
        ("(batch_size, 48), question and context", "start and end of the answer"),
        ("Embedding(400, 16)", "TransformerBlock(16, 2, 32)"),
    ),
    "labelled question": make_plan(
        "Question Answering",
        ("(batch_size, 30)", "(batch_size, 1), whether the context answers"),
        ("Embedding(400, 16)", "Conv1D(8, 3)", "GlobalMaxPooling1D()", "Dense(1, activation='sigmoid')"),
        loss="binary_crossentropy",
    ),
    "characters": make_plan(
        "Text Generation",
        ("(batch_size, 12) character ids", "(batch_size, 40)"),
        ("Embedding(40, 8)", "GRU(16)", "Dense(40, activation='softmax')"),
    ),
    "language model": make_plan(
        "Text Generation",
        ("(batch_size, 10)", "(batch_size, 10, 200)"),
        ("Embedding(200, 16)", "LSTM(16, return_sequences=True)", "Dense(200, activation='softmax')"),
    ),
    "translation": make_plan(
        "Translation",
        ("(batch_size, 9)", "(batch_size, 8, 150)"),
        (
            "Embedding(150, 12)",
            "LSTM(16, return_sequences=True)",
            "Embedding(150, 12)",
            "LSTM(16, return_sequences=True)",
            "Attention()",
            "Concatenate()",
            "Dense(150, activation='softmax')",
        ),
        optimizer="rmsprop",
    ),
    "summary": make_plan(
        "Text Summarization",
        ("(batch_size, 14)", "(batch_size, 14, 90)"),
        (
            "Embedding(90, 8)",
            "Bidirectional(GRU(8, return_sequences=True))",
            "Dense(90, activation='softmax')",
        ),
    ),
    "sounds": make_plan(
        "Audio Classification",
        ("(batch_size, 32, 24, 1) mel spectrograms", "(batch_size, 4)"),
        (
            "Conv2D(4, (3, 3), activation='relu')",
            "MaxPooling2D((2, 2))",
            "Flatten()",
            "Dense(4, activation='softmax')",
        ),
    ),
    "waveforms": make_plan(
        "Audio Classification",
        ("(batch_size, 8000, 1), waveforms at 8 kHz", "(batch_size, 2)"),
        (
            "Conv1D(4, 9, strides=4, activation='relu')",
            "GlobalAveragePooling1D()",
            "Dense(2, activation='softmax')",
        ),
    ),
    "speech": make_plan(
        "Speech Recognition",
        ("(batch_size, 40, 20) mel frames", "the transcript, character by character"),
        ("Conv1D(16, 3, padding='same')", "Bidirectional(GRU(8))", "Dense(29, activation='softmax')"),
        loss="CTC loss",
        metric="CER",
    ),
    "captions": make_plan(
        "Image-to-Text",
        ("image features of shape (batch_size, 64) and captions", "(batch_size, vocab_size), the next word"),
        (
            "Input(shape=(64,))",
            "Dense(16, activation='relu')",
            "Input(shape=(6,))",
            "Embedding(vocab_size, 16, mask_zero=True)",
            "LSTM(16)",
            "Add()",
            "Dense(16, activation='relu')",
            "Dense(vocab_size, activation='softmax')",
        ),
        loss="categorical_crossentropy",
    ),
    "attending captions": make_plan(
        "Image-to-Text",
        ("(batch_size, 40, 40, 3) images with captions", "(batch_size, 7, 120)"),
        (
            "Conv2D(8, 3, activation='relu')",
            "MaxPooling2D()",
            "Embedding(120, 16)",
            "TransformerDecoder(embed_dim=16, num_heads=2, ff_dim=16)",
            "Dense(120, activation='softmax')",
        ),
    ),
    "cart": make_plan(
        "Reinforcement Learning",
        ("(batch_size, 4)", "(batch_size, 2), value of each action"),
        ("Dense(16, activation='relu')", "Dense(2)"),
        loss="mse",
        metric="average reward",
    ),
    "grid": make_plan(
        "Reinforcement Learning",
        ("(batch_size, 12, 12, 1) screens", "(batch_size, 5)"),
        ("Conv2D(4, 3, activation='relu')", "Flatten()", "Dense(5, activation='linear')"),
        loss="huber",
        metric="",
    ),
    "nodes": make_plan(
        "Graph Learning",
        ("(num_nodes, 10), node features", "(num_nodes, 3)"),
        ("GCNConv(8, activation='relu')", "Dropout(0.2)", "GCNConv(8)", "Dense(3, activation='softmax')"),
    ),
    "signals": make_plan(
        "Graph Learning",
        ("(batch_size, 12, 2), signals on a graph", "(batch_size, 3)"),
        ("GCNConv(8, activation='elu')", "Flatten()", "Dense(3, activation='softmax')"),
    ),
}
HOSTILE = (
    make_plan("Text Classification", ("tweets", "labels"), (), optimizer="", loss="", metric=""),
    make_plan("Text Classification", ("texts", "binary"), ("BERT layer", "Embedding", "GPT-2", "T5 encoder")),
    make_plan(
        "Text Classification", ("texts", "(None, 6)"), ("Dense(8)", "Embedding(9, 4)", "CRF(6)"), loss="focal"
    ),
    make_plan(
        "Text Classification", ("(None, 50, 300)", "5 classes"), ("LSTM(4)", "Attention layer", "Dense(1)")
    ),
    make_plan(
        "Text Classification", ("(None, 30)", "rating"), ("USE layer", "Dense(1)"), loss="mse", metric="rmse"
    ),
    make_plan(
        "Text Classification",
        ("(None, 16)", "(None, 2)"),
        ("Embedding", "GlobalAveragePooling1D()", "GlobalMaxPooling1D()", "Concatenate()", "Dense(2)"),
    ),
    make_plan(
        "Token Classification", ("", ""), ("Flatten()", "GlobalMaxPooling1D()", "Dense(1)"), metric="F1 score"
    ),
    make_plan(
        "Token Classification", ("(None, 9)", "(None, 9, 4)"), ("BiLSTM", "CRF layer"), loss="CRF loss"
    ),
    make_plan(
        "Question Answering", ("context", "start and end"), ("LSTM(4)", "Flatten()", "Dense(2)"), loss="bce"
    ),
    make_plan(
        "Question Answering", ("images", "answers"), ("Conv2D(4, 3)", "VGG16", "BERT"), metric="exact match"
    ),
    make_plan(
        "Text Generation",
        ("", ""),
        ("Conv2D(3, 3)", "MaxPooling2D((9, 9))", "Dense(1, activation='sigmoid')"),
    ),
    make_plan("Text Generation", ("", "(None, 4)"), ("GPT2 model", "MultiHeadAttention()", "Softmax")),
    make_plan("Translation", ("French", "English"), ("Dense(4)",), loss="BLEU", metric="BLEU"),
    make_plan(
        "Translation", ("", ""), ("Encoder (Embedding, LSTM)", "Decoder (Embedding, LSTM, Attention, Dense)")
    ),
    make_plan(
        "Translation", ("", ""), ("Embedding", "GRU(3)", "Embedding", "Bidirectional(GRU(5))", "Dense(7)")
    ),
    make_plan("Text Summarization", ("", ""), ("T5 encoder", "T5 decoder", "Flatten()"), loss="cosine"),
    make_plan("Audio Classification", ("sounds", ""), ("STFT layer", "Attention block"), loss="", metric=""),
    make_plan(
        "Audio Classification", ("(None, 99999)", "(None, 3)"), ("ResNet50", "LSTM(4)", "Conv3D(2, 2)")
    ),
    make_plan("Speech Recognition", ("speech", "text"), ("wav2vec", "Flatten()"), loss="wer", metric="wer"),
    make_plan(
        "Speech Recognition", ("mfcc", "ctc labels"), ("Conv2D(4, 3)", "MaxPooling2D((4, 4))", "LSTM(4)")
    ),
    make_plan("Image-to-Text", ("images", "captions"), ("VGG16 encoder", "LSTM decoder", "Dense output")),
    make_plan("Image-to-Text", ("plates", "(None, 36)"), ("Conv2D(4, 3)", "Dense(36)")),
    make_plan(
        "Image-to-Text", ("", "captions"), ("Embedding(9, 4)", "MultiHeadAttention(2, 4)", "CNN_Encoder()")
    ),
    make_plan(
        "Reinforcement Learning", ("(84, 84, 4)", "actions"), ("LSTM(4)", "policy network"), optimizer="PPO"
    ),
    make_plan("Reinforcement Learning", ("", ""), ("Embedding(16, 4)", "Dense(0)"), loss="", metric="reward"),
    make_plan("Graph Learning", ("", ""), ("Conv2D(4, 3)", "Embedding(4, 4)"), loss="link prediction loss"),
    make_plan(
        "Graph Learning", ("(None, 5)", "binary"), ("GraphAttention(heads=4)", "Dense(1)"), metric="AUC"
    ),
)
