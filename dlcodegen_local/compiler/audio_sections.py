"""Source templates of audio classification and speech recognition.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it.
"""

WAV_FILES = '''
def write_wav(path: Path, signal: np.ndarray, sample_rate: int) -> None:
    """Write a mono signal in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((signal.clip(-1, 1) * 32767).astype("<i2").tobytes())


def read_wav(path: Path, config: Config) -> np.ndarray:
    """Return the first channel in [-1, 1], padded or cut to `num_samples`."""
    audio, _ = tf.audio.decode_wav(
        tf.io.read_file(str(path)), desired_channels=1, desired_samples=config.num_samples
    )
    return audio.numpy()[:, 0]
'''

WAVEFORM_FEATURES = '''


def extract_features(signals: np.ndarray, config: Config) -> np.ndarray:
    """Return the signals scaled to a peak of 1, one row $shape a recording."""
    peaks = np.abs(signals).max(axis=1, keepdims=True) + 1e-7
    return (signals / peaks).reshape((-1, *$shape)).astype("float32")
'''

SPECTROGRAM_FEATURES = '''


def extract_features(signals: np.ndarray, config: Config) -> np.ndarray:
    """Return the standardised $kind of the recordings, each $shape."""
    step = max(64, config.num_samples // $frames)
    spectra = tf.abs(tf.signal.stft(tf.constant(signals, "float32"), frame_length=512, frame_step=step))
    mel = tf.signal.linear_to_mel_weight_matrix(
        $bins, spectra.shape[-1], config.sample_rate, 20.0, config.sample_rate / 2
    )
    features = tf.math.log(tf.matmul(spectra, mel) + 1e-6)
    $mfcc
    features = tf.image.resize(features[..., None], ($frames, $bands), antialias=True)
    mean, deviation = tf.reduce_mean(features), tf.math.reduce_std(features)
    features = (features - mean) / (deviation + 1e-6)
    $arrange
    return features.numpy()
'''

FOLDERS = '''


def make_synthetic(config: Config) -> None:
    """Write one folder of wav files a class: tones whose pitch tells the class, with some noise."""
    rng = np.random.default_rng(config.seed)
    seconds = np.arange(config.num_samples) / config.sample_rate
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        folder = Path(config.data_dir) / f"class_{label:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        pitch = 100.0 + label / config.num_classes * config.sample_rate / 4
        signal = 0.5 * np.sin(2 * np.pi * pitch * seconds) + 0.05 * rng.normal(size=config.num_samples)
        write_wav(folder / f"{index:05d}.wav", signal, config.sample_rate)


def load_data(config: Config):
    """Return (train, validation, test), each a pair of features and labels $label_shape."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    names = sorted(path.name for path in folder.glob("*") if path.is_dir())
    files = [(path, names.index(name)) for name in names for path in sorted((folder / name).glob("*.wav"))]
    if not files:
        raise FileNotFoundError(f"{folder}: expected one folder a class with 16-bit PCM wav files")
    if len(names) > config.num_classes:
        raise ValueError(f"{folder} has {len(names)} classes: pass --num-classes {len(names)}")
    features = extract_features(np.stack([read_wav(path, config) for path, _ in files]), config)
    labels = np.array([label for _, label in files], dtype="int32")
    $encode
    order = np.random.default_rng(config.seed).permutation(len(files))
    first, second = int(0.7 * len(files)), int(0.85 * len(files))
    return tuple(
        (features[part], labels[part]) for part in (order[:first], order[first:second], order[second:])
    )
'''

TRANSCRIPTS = '''


CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"  # character i is class i + 1, class 0 is CTC's blank


def make_synthetic(config: Config) -> None:
    """Write recordings in which every character is a tone, and transcripts.csv with their texts."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    step = config.num_samples // config.transcript_length
    seconds = np.arange(step) / config.sample_rate
    with open(folder / "transcripts.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "transcript"])
        for index in range(config.synthetic_samples):
            numbers = rng.integers(1, 6, size=rng.integers(1, config.transcript_length // 4 + 2))
            tones = [np.sin(2 * np.pi * (200 + 150 * number) * seconds) for number in numbers]
            write_wav(folder / f"{index:05d}.wav", 0.5 * np.concatenate(tones), config.sample_rate)
            writer.writerow([f"{index:05d}.wav", "".join(CHARACTERS[number] for number in numbers)])


def encode_transcript(text: str, config: Config) -> np.ndarray:
    """Return the classes of the characters, padded with 0 to `transcript_length`."""
    classes = [CHARACTERS.index(char) + 1 for char in text.lower() if char in CHARACTERS]
    row = np.zeros(config.transcript_length, dtype="int32")
    row[: len(classes)] = classes[: config.transcript_length]
    return row


def load_data(config: Config):
    """Return (train, validation, test), each a pair of features and padded character classes."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "transcripts.csv").is_file():
        raise FileNotFoundError(f"{folder}: expected wav files and transcripts.csv with file and transcript")
    with open(folder / "transcripts.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    features = extract_features(np.stack([read_wav(folder / row["file"], config) for row in rows]), config)
    labels = np.stack([encode_transcript(row["transcript"], config) for row in rows])
    order = np.random.default_rng(config.seed).permutation(len(rows))
    first, second = int(0.7 * len(rows)), int(0.85 * len(rows))
    return tuple(
        (features[part], labels[part]) for part in (order[:first], order[first:second], order[second:])
    )
'''

CTC_LOSS = '''
def ctc_loss(y_true, y_pred):
    """Return the CTC loss (batch,) of character probabilities (batch, steps, num_characters)."""
    labels = keras.ops.cast(y_true, "int32")
    label_lengths = keras.ops.sum(keras.ops.cast(labels > 0, "int32"), axis=1)
    steps = keras.ops.zeros_like(label_lengths) + keras.ops.shape(y_pred)[1]
    scores = keras.ops.log(keras.ops.clip(y_pred, 1e-7, 1.0))
    return keras.ops.ctc_loss(labels, scores, label_lengths, steps, mask_index=0)
'''

SPEECH_EVALUATE = '''
def decode(probabilities: np.ndarray) -> list[str]:
    """Return the greedy CTC transcripts: repeats merged, then blanks dropped."""
    texts = []
    for row in probabilities.argmax(axis=-1):
        kept = [token for place, token in enumerate(row) if place == 0 or token != row[place - 1]]
        texts.append("".join(CHARACTERS[token - 1] for token in kept if 0 < token <= len(CHARACTERS)))
    return texts


def edit_distance(left: str, right: str) -> int:
    """Return how many characters must be inserted, dropped or changed."""
    row = list(range(len(right) + 1))
    for place, char in enumerate(left, start=1):
        previous, row[0] = row[0], place
        for index, other in enumerate(right, start=1):
            change = previous + (char != other)
            previous, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, change)
    return row[-1]


def evaluate(config: Config) -> dict[str, float]:
    """Return the loss and the character error rate of the test recordings."""
    _, _, (features, labels) = load_data(config)
    model = load_trained(config)
    measures = model.evaluate(features, labels, batch_size=config.batch_size, return_dict=True, verbose=0)
    found = decode(model.predict(features, batch_size=config.batch_size, verbose=0))
    wanted = ["".join(CHARACTERS[token - 1] for token in row if token > 0) for row in labels]
    errors = sum(edit_distance(left, right) for left, right in zip(found, wanted))
    measures["cer"] = errors / max(1, sum(map(len, wanted)))
    return {name: float(np.mean(value)) for name, value in measures.items()}
'''

SPEECH_PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return character probabilities (rows, steps, num_characters); write the transcripts."""
    _, _, (features, _) = load_data(config)
    probabilities = load_trained(config).predict(features, batch_size=config.batch_size, verbose=0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", probabilities)
    (output / "transcripts.txt").write_text("\\n".join(decode(probabilities)), encoding="utf-8")
    return probabilities
'''
