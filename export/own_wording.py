"""How strangers word a requirement: frames, chatter, PyTorch, typing errors."""

import random
import re
import string

from export.own_sketches import pick

ENGLISH_FRAMES = (
    "{}",
    "{}",
    "{} with deep learning",
    "build a network to {}",
    "train a model to {}",
    "please {}",
    "I want to {}",
    "I'd like to {}",
    "we need to {}",
    "make something that can {}",
    "give me code to {}",
    "my task is to {}",
    "the goal is to {}",
    "could you write a project to {}?",
    "how can I {}?",
    "can a neural network {}?",
    "what network do I need to {}?",
    "is it possible to {} automatically?",
    "simple keras example to {}",
    "small model to {} on a laptop",
    "tensorflow project to {}",
    "develop and evaluate a model to {}",
)
TORCH_FRAMES = (
    "PyTorch: {}",
    "{} in PyTorch",
    "write an nn.Module to {}",
    "nn.Module, Dataset and DataLoader to {}",
    "a Lightning module to {}",
    "torch training loop to {}",
    "I use PyTorch and want to {}",
    "{} with a custom Dataset and a DataLoader",
    "subclass nn.Module and {}",
    "pytorch lightning, {}",
)
# {0}, {1}, {2}: the infinitive, the one with "zu", the third person
GERMAN_FRAMES = (
    "Ich möchte {0}",
    "Wir wollen {0}",
    "Ich will {0}",
    "{0}",
    "Wie kann ich {0}?",
    "Kann man mit einem neuronalen Netz {0}?",
    "Kannst du mir helfen, {1}?",
    "Trainiere ein neuronales Netz, um {1}",
    "Baue ein Modell, um {1}",
    "Ich brauche ein Netz, um {1}",
    "Das Ziel ist, {1}",
    "Ein Modell, das {2}",
    "Erstelle ein Keras-Modell, das {2}",
    "Bitte ein Netz bauen, das {2}",
    "Gesucht: ein Netz, das {2}",
    "Deep Learning, um {1}",
)
GERMAN_TORCH_FRAMES = (
    "Mit PyTorch {0}",
    "Ein nn.Module, das {2}",
    "PyTorch-Projekt mit DataLoader, um {1}",
)
_BEFORE = (
    "Hi!",
    "Hello,",
    "Hi there, I'm new to this.",
    "Good morning.",
    "Sorry if this is a stupid question.",
    "ok so",
    "We are a small company and have collected data for years.",
    "My boss asked me for this and I have no idea where to start.",
    "For my thesis I am working with data from our lab.",
    "I am a student and this is for a course.",
    "Our team has a folder full of files and nobody looks at them.",
    "I tried it by hand and it took forever.",
    "I have read about neural networks but never trained one.",
    "So, here is the thing: we do this by hand every Monday, and people make mistakes.",
)
_AFTER = (
    "Thanks!",
    "Thank you very much in advance.",
    "It should run on a normal laptop.",
    "It does not have to be perfect.",
    "Please comment the code.",
    "We have no GPU.",
    "Keep it simple.",
    "I would like to understand every step.",
    "The data must not leave our network.",
    "pls help",
    "It would be great to see a plot of the training.",
    "Later we may want to extend it.",
    "I do not care which library.",
)
_BEFORE_GERMAN = (
    "Hallo,",
    "Guten Tag!",
    "Ich bin neu auf dem Gebiet.",
    "Wir sind ein kleiner Betrieb und haben über Jahre Daten gesammelt.",
    "Für meine Masterarbeit arbeite ich mit Labordaten.",
    "Bisher machen wir das von Hand.",
)
_AFTER_GERMAN = (
    "Danke!",
    "Vielen Dank im Voraus.",
    "Das Ganze soll auf einem Laptop laufen.",
    "Bitte mit Kommentaren im Code.",
    "Die Daten dürfen unser Netz nicht verlassen.",
    "Es muss nicht perfekt sein.",
)
_JOINED = (
    "{} and then {}",
    "{}, and also {}",
    "first {}, later {}",
    "{}; as a second step {}",
    "{}. After that we also want to {}",
    "mainly {}, and if possible {}",
    "{} (and one day perhaps {})",
    "{}, not to {}",
)
_JOINED_GERMAN = ("{} und danach {}", "{}; später auch {}", "vor allem {}, vielleicht auch {}")
_NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuioppsdfghjkllxcvbnmm", strict=True))
_GERMAN_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def with_chatter(text: str, german: bool, rng: random.Random) -> str:
    """Return a request with what people write around it."""
    before, after = (_BEFORE_GERMAN, _AFTER_GERMAN) if german else (_BEFORE, _AFTER)
    text = text[:1].upper() + text[1:]
    text = text if text[-1] in ".?!" else text + "."
    parts = [*rng.sample(before, rng.randint(0, 2)), text, *rng.sample(after, rng.randint(0, 2))]
    return " ".join(parts)


def joined(first: str, second: str, german: bool, rng: random.Random) -> str:
    """Return two tasks in one; the first is the main one."""
    return pick(rng, *(_JOINED_GERMAN if german else _JOINED)).format(first, second)


def with_typing_errors(text: str, rng: random.Random) -> str:
    """Return a text with one to three typing errors, in words of four letters and more."""
    for _ in range(rng.randint(1, 3)):
        words = list(re.finditer(r"(?<![\w.-])[^\W\d_]{4,}(?![\w.-])", text))
        if not words:
            break
        word = pick(rng, *words)
        text = text[: word.start()] + _mistyped(word.group(), rng) + text[word.end() :]
    if rng.random() < 0.3:
        gaps = [gap.start() for gap in re.finditer(r"(?<=[a-z]) (?=[a-z])", text)]
        if gaps:
            gap = pick(rng, *gaps)
            text = text[:gap] + text[gap + 1 :]
    return text.lower() if rng.random() < 0.6 else text


def in_ascii(text: str) -> str:
    """Return German text as it is typed on a keyboard without umlauts."""
    return text.translate(_GERMAN_LETTERS)


def in_some_case(text: str, rng: random.Random) -> str:
    """Return a text in one of the ways people use capital letters and the full stop."""
    draw = rng.random()
    if draw < 0.35:
        return text.lower()
    text = text[:1].upper() + text[1:]
    return text if draw < 0.6 or text[-1] in ".?!" else text + "."


def _mistyped(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind == 2:
        return word[:place] + word[place] + word[place:]
    letter = word[place]
    return (
        word[:place]
        + (_NEIGHBOURS[letter] if letter in string.ascii_lowercase else letter)
        + word[place + 1 :]
    )
