"""The learning curves of a project that trains by `model.fit`: `history.png` beside its weights.

Guarantees that a program which could run before runs still: without matplotlib there is no picture.
"""

import re

_PLOT_HISTORY = '''
def plot_history(history: keras.callbacks.History, config: Config) -> None:
    """Draw every measure of training and validation over the epochs; without matplotlib, draw nothing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    names = [name for name in history.history if not name.startswith("val_")]
    plt.figure(figsize=(6 * len(names), 4))
    for place, name in enumerate(names, start=1):
        plt.subplot(1, len(names), place)
        plt.plot(history.history[name], label="training")
        if f"val_{name}" in history.history:
            plt.plot(history.history[f"val_{name}"], label="validation")
        plt.title(f"{name} over the epochs")
        plt.xlabel("epoch")
        plt.ylabel(name)
        plt.legend()
    plt.tight_layout()
    plt.savefig(Path(config.output_dir) / "history.png")
    plt.close()
'''
_FIT = "    history = model.fit("
_BUILD = "    model = build_model(config)\n"
_SAVE = "    model.save_weights("
_MEASURES = re.compile(
    r"^    (?:measures = |return )\{name: float\(.*history\.history\.items\(\)\}", re.MULTILINE
)


def with_curves(train: str) -> str:
    """Return a train section that prints its network and draws its history.

    One that fits in another way comes back unchanged.
    """
    measures = _MEASURES.search(train)
    if _FIT not in train or measures is None:
        return train
    if _SAVE in train:  # not two networks that train each other
        train = train.replace(_BUILD, f"{_BUILD}    model.summary()\n", 1)
        measures = _MEASURES.search(train) or measures
    drawn = f"{train[: measures.start()]}    plot_history(history, config)\n{train[measures.start() :]}"
    return f"{_PLOT_HISTORY.strip()}\n\n\n{drawn.strip()}"
