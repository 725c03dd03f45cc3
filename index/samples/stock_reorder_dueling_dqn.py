# SPDX-License-Identifier: Apache-2.0
"""Decide each evening how much of a product to reorder, by double dueling deep Q-learning.

The shop is simulated from recorded demand: orders arrive two days later, every unit on the shelf
costs a little, every unit that a customer asks for in vain costs a lot, and each order has a fixed
price. The network splits a state's value from what each order size adds to it (dueling); it
chooses the best next order while a slowly following copy values it (double).

Data: `data_dir/demand.csv` with the header `item,day,demand`: how many units of an item were asked for on a
day; days are numbered from 0 without gaps, 0 is a Monday. Every item needs at least `warm_up + 30` days.
All amounts are measured in an item's mean daily demand, so one network serves items of any size.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from collections import defaultdict
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings of shop, agent and training; an epoch is `steps_per_epoch` days in every shop."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    warm_up: int = 14
    lead_time: int = 2
    episode_days: int = 60
    holding_cost: float = 0.05
    shortage_cost: float = 1.0
    order_cost: float = 0.2
    parallel_shops: int = 16
    memory_size: int = 50000
    steps_per_epoch: int = 60
    gamma: float = 0.95
    target_rate: float = 0.01
    final_exploration: float = 0.02
    observation_size: int = 12
    num_actions: int = 6
    optimizer: str = "adam"
    loss: str = "huber"
    metric: str = "mean_reward"
    learning_rate: float = 0.0005
    batch_size: int = 128
    epochs: int = 80


def parse_config(argv: list[str] | None = None) -> Config:
    """Read options named after the fields."""
    parser = argparse.ArgumentParser(description="Reordering by deep Q-learning", allow_abbrev=False)
    for field in dataclasses.fields(Config):
        option = "--" + "-".join(field.name.split("_"))
        if field.type is not bool:
            parser.add_argument(option, default=field.default, type=field.type)
        else:
            parser.add_argument(option, action="store_true")
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write Poisson demand of items of different size, with busy weekends and a slow drift."""
    rng = np.random.default_rng(config.seed)
    days = np.arange(120)
    week = np.array([0.8, 0.7, 0.8, 0.9, 1.2, 1.5, 1.1])
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "demand.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "day", "demand"])
        for item in range(config.synthetic_samples):
            drift = 1.0 + 0.2 * np.sin(2 * np.pi * (days / 120 + rng.random()))
            demand = rng.poisson(rng.uniform(4, 30) * week[days % 7] * drift)
            writer.writerows((f"item_{item:04d}", int(day), int(units)) for day, units in enumerate(demand))


def load_data(config: Config) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return the demand series of (train, validation, test) items; no item is in two of them."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "demand.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a table with the columns item, day and demand")
    series: defaultdict[str, dict[int, float]] = defaultdict(dict)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            series[row["item"]][int(row["day"])] = float(row["demand"])
    items = []
    for name in sorted(series):
        days = series[name]
        if sorted(days) != list(range(len(days))) or len(days) < config.warm_up + 30:
            raise ValueError(f"{path}: {name} has gaps or fewer than {config.warm_up + 30} days")
        items.append(np.array([days[day] for day in range(len(days))], dtype="float32"))
    order = np.random.default_rng(config.seed).permutation(len(items))
    held = max(1, len(items) // 6)
    validation, test = order[:held], order[held : 2 * held]
    return tuple([items[i] for i in part] for part in (order[2 * held :], validation, test))


class Shop:
    """Sell one item from a recorded series, beginning on a given day."""

    def __init__(self, demand: np.ndarray, start: int, config: Config) -> None:
        self.config = config
        self.day = start
        self.last_day = min(len(demand) - 1, start + config.episode_days)
        # The scale comes from days before the first decision: the future must not shine through.
        self.demand = demand / max(1e-6, float(demand[start - config.warm_up : start].mean()))
        self.stock = 3.0
        self.coming = [0.0] * config.lead_time

    def observe(self) -> np.ndarray:
        """Return stock, orders on their way, the demand of the last week, and the day of the week."""
        angle = 2 * np.pi * (self.day % 7) / 7
        recent = self.demand[self.day - 7 : self.day]
        return np.array([self.stock, *self.coming, *recent, np.sin(angle), np.cos(angle)], dtype="float32")

    def order(self, amount: float) -> tuple[float, bool]:
        """Order, receive what is due, sell a day; return (reward, whether the series is over)."""
        self.coming.append(amount)
        self.stock += self.coming.pop(0)
        wanted = float(self.demand[self.day])
        short = max(0.0, wanted - self.stock)
        self.stock = max(0.0, self.stock - wanted)
        self.day += 1
        cost = self.config.holding_cost * self.stock + self.config.shortage_cost * short
        return -(cost + self.config.order_cost * (amount > 0)), self.day >= self.last_day


class Memory:
    """Remember the latest transitions in arrays that are written round and round."""

    def __init__(self, config: Config) -> None:
        shape = (config.memory_size, config.observation_size)
        self.states = np.zeros(shape, dtype="float32")
        self.following = np.zeros(shape, dtype="float32")
        self.actions = np.zeros(config.memory_size, dtype="int32")
        self.rewards = np.zeros(config.memory_size, dtype="float32")
        self.written = 0

    def add(self, state: np.ndarray, action: int, reward: float, following: np.ndarray) -> None:
        """Write one transition over the oldest one."""
        place = self.written % len(self.rewards)
        self.states[place], self.following[place] = state, following
        self.actions[place], self.rewards[place] = action, reward
        self.written += 1

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return `count` random transitions as (states, actions, rewards, following states)."""
        places = rng.integers(min(self.written, len(self.rewards)), size=count)
        return self.states[places], self.actions[places], self.rewards[places], self.following[places]


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled network: what the shop looks like in, the value of each order size out."""
    state = layers.Input(shape=(config.observation_size,))
    x = layers.Dense(96, activation="relu")(state)
    x = layers.LayerNormalization()(x)
    x = layers.Dense(96, activation="relu")(x)
    value = layers.Dense(48, activation="relu")(x)
    value = layers.Dense(1, name="value")(value)
    advantage = layers.Dense(48, activation="relu")(x)
    advantage = layers.Dense(config.num_actions, name="advantage")(advantage)
    # Advantages have mean zero, else value and advantages could shift against each other forever.
    advantage = advantage - ops.mean(advantage, axis=1, keepdims=True)
    model = keras.Model(state, layers.Add()([value, advantage]))
    settings = {"learning_rate": config.learning_rate, "clipnorm": 10.0}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
    model.compile(optimizer=optimizer, loss=config.loss)
    return model


# %% [train]
class Learner:
    """Hold the network and its slow copy, and improve the network from batches of transitions."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.model = build_model(config)
        self.target = keras.models.clone_model(self.model)
        self.target.set_weights(self.model.get_weights())
        self.error = keras.losses.get(config.loss)
        self.model.optimizer.build(self.model.trainable_variables)

    @tf.function
    def values(self, states: tf.Tensor) -> tf.Tensor:
        """Return the values of all orders."""
        return self.model(states, training=False)

    @tf.function
    def improve(self, states, actions, rewards, following) -> tf.Tensor:
        """Take one step and let the copy follow a little; return the loss."""
        best = tf.argmax(self.model(following, training=False), axis=1, output_type=tf.int32)
        future = tf.gather(self.target(following, training=False), best, batch_dims=1)
        # The shop goes on after the last recorded day: no state is terminal, each has a future.
        goal = rewards + self.config.gamma * future
        with tf.GradientTape() as tape:
            chosen = tf.gather(self.model(states, training=True), actions, batch_dims=1)
            loss = tf.reduce_mean(self.error(goal[:, None], chosen[:, None]))
        variables = self.model.trainable_variables
        self.model.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for slow, fast in zip(self.target.variables, self.model.variables, strict=True):
            slow.assign_add(self.config.target_rate * (fast - slow))
        return loss


def run_through(choose, items: list[np.ndarray], config: Config) -> float:
    """Return the mean reward per day when `choose` orders for each item from its first possible day."""
    shops = [Shop(demand, config.warm_up, config) for demand in items]
    rewards = []
    while shops:
        amounts = choose(np.stack([shop.observe() for shop in shops]))
        results = [shop.order(float(amount)) for shop, amount in zip(shops, amounts, strict=True)]
        rewards += [reward for reward, _ in results]
        shops = [shop for shop, (_, over) in zip(shops, results, strict=True) if not over]
    return float(np.mean(rewards))


def train(config: Config) -> dict[str, float]:
    """Play in many shops side by side and learn after every day; keep the best agent on validation items."""
    keras.utils.set_random_seed(config.seed)
    items, held_out, _ = load_data(config)
    rng = np.random.default_rng(config.seed)
    learner, memory = Learner(config), Memory(config)

    def open_shop() -> Shop:
        demand = items[rng.integers(len(items))]
        return Shop(demand, int(rng.integers(config.warm_up, len(demand) - 15)), config)

    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    shops = [open_shop() for _ in range(config.parallel_shops)]
    best, history = -np.inf, []
    for epoch in range(config.epochs):
        # Chance falls in a straight line over the first half of the training.
        chance = max(config.final_exploration, 1.0 - 2.0 * epoch / config.epochs)
        losses = []
        for _ in range(config.steps_per_epoch):
            states = np.stack([shop.observe() for shop in shops])
            actions = learner.values(states).numpy().argmax(axis=1)
            random = rng.random(len(shops)) < chance
            actions[random] = rng.integers(config.num_actions, size=int(random.sum()))
            for number, (shop, state, action) in enumerate(zip(shops, states, actions, strict=True)):
                reward, over = shop.order(float(action))
                memory.add(state, action, reward, shop.observe())
                if over:
                    shops[number] = open_shop()
            if memory.written >= config.batch_size:
                losses.append(float(learner.improve(*memory.draw(config.batch_size, rng))))
        reward = run_through(lambda seen: learner.values(seen).numpy().argmax(axis=1), held_out, config)
        loss = float(np.mean(losses)) if losses else float("nan")
        print(f"epoch {epoch + 1}: loss {loss:.4f}, chance {chance:.2f}, reward per day {reward:.3f}")
        history.append({"loss": loss, "val_mean_reward": reward})
        if reward > best:
            best = reward
            learner.model.save(output / "model.keras")
    (output / "history.json").write_text(json.dumps(history), encoding="utf-8")
    return history[-1] | {"best_val_mean_reward": best}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the mean reward per day on unseen items, and that of a simple rule.

    The rule fills up to what the lead time and one more day usually take, plus a day in reserve.
    """
    _, _, items = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    level = config.lead_time + 2

    def rule(seen: np.ndarray) -> np.ndarray:
        here = seen[:, : 1 + config.lead_time].sum(axis=1)
        return np.clip(np.round(level - here), 0, config.num_actions - 1)

    return {
        "mean_reward": run_through(lambda seen: model.predict_on_batch(seen).argmax(axis=1), items, config),
        "rule_mean_reward": run_through(rule, items, config),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the values of all orders (items, num_actions) on the last day of each test item."""
    _, _, items = load_data(config)
    output = Path(config.output_dir)
    model = keras.models.load_model(output / "model.keras")
    states = np.stack([Shop(demand, len(demand), config).observe() for demand in items])
    values = model.predict(states, verbose=0)
    np.save(output / "predictions.npy", values)
    np.savetxt(output / "orders.csv", values.argmax(axis=1), fmt="%d", header="order", comments="")
    return values


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
