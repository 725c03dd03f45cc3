# SPDX-License-Identifier: Apache-2.0
"""Learn to reach a goal on a grid past pits with deep Q-learning.

A network estimates the value of each of four moves; it learns from remembered moves in random order,
and its targets come from a slower copy of itself, where the network chooses the move and the copy
values it (double DQN). Exploration falls from 1 to 0.05 over the first half of the episodes.

Data: `data_dir/maps.txt`: square maps of one size, parted by an empty line; `S` start, `G` goal, `P` pit,
`#` wall, `.` free. Without walls around them the edges of a map act as walls.
"""

# %% [imports]
import argparse
import dataclasses
from collections import deque
from pathlib import Path

import keras
import numpy as np
from keras import layers


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    grid_size: int = 6
    num_actions: int = 4
    max_steps: int = 40
    episodes_per_epoch: int = 20
    memory_size: int = 10000
    gamma: float = 0.97
    sync_steps: int = 100
    optimizer: str = "adam"
    loss: str = "huber"
    metric: str = "mean_return"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 50


MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Deep Q-learning on a grid")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write maps with the goal in the last corner, and as many pits and walls as the size allows."""
    rng = np.random.default_rng(config.seed)
    size, maps = config.grid_size, []
    for _ in range(config.synthetic_samples):
        cells = np.full((size, size), ".")
        places = rng.permutation(np.arange(1, size * size - 1))
        cells.flat[places[: size // 2]] = "P"
        cells.flat[places[size // 2 : size]] = "#"
        # One way along the edges stays open.
        cells[0, 1:] = "."
        cells[1:, -1] = "."
        cells[0, 0], cells[-1, -1] = "S", "G"
        maps.append("\n".join("".join(row) for row in cells))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "maps.txt").write_text("\n\n".join(maps) + "\n", encoding="utf-8")


def load_data(config: Config) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return (train, validation, test) maps (size, size) of characters."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "maps.txt"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected maps of S G P # . parted by empty lines")
    maps = [np.array([list(row) for row in text.split()]) for text in path.read_text().strip().split("\n\n")]
    if any(cells.shape != (config.grid_size, config.grid_size) for cells in maps):
        raise ValueError(f"{path}: every map must be {config.grid_size} by {config.grid_size}")
    order = np.random.default_rng(config.seed).permutation(len(maps))
    maps = [maps[i] for i in order]
    first, second = int(0.7 * len(maps)), int(0.85 * len(maps))
    return maps[:first], maps[first:second], maps[second:]


class GridWorld:
    """Move on one map: +1 at the goal, -1 in a pit, -0.01 for every other step."""

    def __init__(self, cells: np.ndarray, max_steps: int) -> None:
        self.cells = cells
        self.max_steps = max_steps
        self.reset()

    def reset(self) -> np.ndarray:
        """Go back to the start and return what is seen there."""
        self.place = tuple(int(i) for i in np.argwhere(self.cells == "S")[0])
        self.steps = 0
        return self.observe()

    def observe(self) -> np.ndarray:
        """Return the planes (size, size, 4): player, goal, pits, walls."""
        planes = np.stack([np.zeros(self.cells.shape), *(self.cells == kind for kind in "GP#")], axis=-1)
        planes[(*self.place, 0)] = 1.0
        return planes.astype("float32")

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        """Move and return (what is seen, reward, whether the episode is over)."""
        self.steps += 1
        row, column = (i + d for i, d in zip(self.place, MOVES[action], strict=True))
        size = len(self.cells)
        if 0 <= row < size and 0 <= column < size and self.cells[row, column] != "#":
            self.place = (row, column)
        reward = {"G": 1.0, "P": -1.0}.get(str(self.cells[self.place]), -0.01)
        return self.observe(), reward, abs(reward) == 1.0 or self.steps >= self.max_steps


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled network: map in, the value of each move out."""
    model = keras.Sequential(
        [
            layers.Input(shape=(config.grid_size, config.grid_size, 4)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(config.num_actions),
        ]
    )
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=config.loss)
    return model


# %% [train]
Transition = tuple[np.ndarray, int, float, np.ndarray, bool]


def learn(model: keras.Model, target: keras.Model, batch: list[Transition], config: Config) -> float:
    """Take one step towards reward plus discounted value of the next state; return the loss."""
    states, actions, rewards, following, ended = (np.array(column) for column in zip(*batch, strict=True))
    rows = np.arange(len(batch))
    best = model.predict_on_batch(following).argmax(axis=1)
    value = target.predict_on_batch(following)[rows, best]
    goals = model.predict_on_batch(states)
    # Only the move that was made has a new goal: the error of the others is zero.
    goals[rows, actions] = rewards + config.gamma * value * ~ended
    return float(model.train_on_batch(states, goals))


def train(config: Config) -> dict[str, float]:
    """Play and learn; one epoch is `episodes_per_epoch` episodes on random training maps."""
    keras.utils.set_random_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    maps, _, _ = load_data(config)
    model, target = build_model(config), build_model(config)
    target.set_weights(model.get_weights())
    memory: deque[Transition] = deque(maxlen=config.memory_size)
    steps, losses, returns = 0, [], []
    for epoch in range(config.epochs):
        exploration = max(0.05, 1.0 - 2.0 * epoch / config.epochs)
        losses, returns = [], []
        for _ in range(config.episodes_per_epoch):
            world = GridWorld(maps[rng.integers(len(maps))], config.max_steps)
            state, total, over = world.observe(), 0.0, False
            while not over:
                if rng.random() < exploration:
                    action = int(rng.integers(config.num_actions))
                else:
                    action = int(model.predict_on_batch(state[None])[0].argmax())
                following, reward, over = world.step(action)
                # Running out of time is no property of the place: only goal and pits end its value.
                memory.append((state, action, reward, following, abs(reward) == 1.0))
                state, total, steps = following, total + reward, steps + 1
                if len(memory) >= config.batch_size and steps % 4 == 0:
                    chosen = rng.integers(len(memory), size=config.batch_size)
                    losses.append(learn(model, target, [memory[i] for i in chosen], config))
                if steps % config.sync_steps == 0:
                    target.set_weights(model.get_weights())
            returns.append(total)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, return {np.mean(returns):.3f}")
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    return {"loss": float(np.mean(losses)), "mean_return": float(np.mean(returns))}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure return and success without exploration on maps never trained on."""
    _, _, maps = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    returns, reached = [], []
    for cells in maps:
        world = GridWorld(cells, config.max_steps)
        state, total, reward, over = world.observe(), 0.0, 0.0, False
        while not over:
            action = int(model.predict_on_batch(state[None])[0].argmax())
            state, reward, over = world.step(action)
            total += reward
        returns.append(total)
        reached.append(reward == 1.0)
    return {"mean_return": float(np.mean(returns)), "success": float(np.mean(reached))}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the values of all moves at the start of every test map (maps, num_actions) and save them."""
    _, _, maps = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    states = np.stack([GridWorld(cells, config.max_steps).observe() for cells in maps])
    values = model.predict(states, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", values)
    return values


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
