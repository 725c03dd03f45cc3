# SPDX-License-Identifier: Apache-2.0
"""Teach a cart to balance poles of different length and weight by advantage actor-critic (A2C), in PyTorch.

The physics of cart and pole are in this file, written with numpy for many carts at once; no gym is
needed. The actor proposes a push to the left or right, the critic estimates the return to come. What
an action brought beyond that estimate, as generalised advantage (GAE), is what the actor learns
from; an entropy bonus keeps it from settling too early.

Data: `data_dir/poles.csv` with the header `length,pole_mass,cart_mass,force` (metres, kilograms, newtons),
one line per machine. Training uses most of the machines; the test balances poles it has never held.
"""

# %% [imports]
import argparse
import csv
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; `batch_size` carts run side by side, `rollout_steps` steps between two updates."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    observation_size: int = 8
    num_actions: int = 2
    hidden_units: int = 64
    max_steps: int = 200
    rollout_steps: int = 20
    updates_per_epoch: int = 20
    gamma: float = 0.99
    gae_lambda: float = 0.95
    reward_scale: float = 0.05
    entropy_bonus: float = 0.01
    value_weight: float = 0.5
    optimizer: str = "adam"
    loss: str = "huber"
    metric: str = "mean_reward"
    learning_rate: float = 0.003
    batch_size: int = 32
    epochs: int = 40


COLUMNS = ("length", "pole_mass", "cart_mass", "force")


def parse_config(argv: list[str] | None = None) -> Config:
    """Return the settings, as changed by the command line."""
    parser = argparse.ArgumentParser(description="Actor-critic on cart and pole")
    for field in dataclasses.fields(Config):
        option = f"--{field.name}".replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, dest=field.name, action="store_true")
        else:
            parser.add_argument(option, dest=field.name, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write machines around the usual one: half a metre, 100 g on 1 kg, 10 N."""
    rng = np.random.default_rng(config.seed)
    usual = np.array([0.5, 0.1, 1.0, 10.0])
    machines = usual * rng.uniform(0.7, 1.4, size=(config.synthetic_samples, len(usual)))
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "poles.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *machines.round(4).tolist()])


def load_data(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the machines (machines, 4) of (train, validation, test)."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "poles.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a table with the columns {', '.join(COLUMNS)}")
    with open(path, newline="", encoding="utf-8") as file:
        machines = np.array([[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)])
    if len(machines) < 3 or (machines <= 0).any():
        raise ValueError(f"{path}: expected at least three machines, all numbers above zero")
    machines = np.random.default_rng(config.seed).permutation(machines)
    held = max(1, len(machines) // 8)
    return machines[: -2 * held], machines[-2 * held : -held], machines[-held:]


class CartPoles:
    """Simulate many carts at once; each that falls is put upright again on a new machine.

    A step that ends with the pole up is worth 1. An episode is over when the pole leans by more than
    12 degrees or the cart leaves the track (terminal), or after `max_steps` (cut off).
    """

    def __init__(self, machines: np.ndarray, count: int, max_steps: int, seed: int) -> None:
        self.machines = machines
        self.max_steps = max_steps
        self.rng = np.random.default_rng(seed)
        self.state = np.zeros((count, 4))
        self.machine = np.zeros((count, 4))
        self.steps = np.zeros(count, dtype=int)
        self.reset(np.ones(count, dtype=bool))

    def reset(self, chosen: np.ndarray, machines: np.ndarray | None = None) -> None:
        """Put the chosen carts in the middle, almost still, on random machines or on those given."""
        count = int(chosen.sum())
        self.state[chosen] = self.rng.uniform(-0.05, 0.05, size=(count, 4))
        drawn = self.machines[self.rng.integers(len(self.machines), size=count)]
        self.machine[chosen] = drawn if machines is None else machines
        self.steps[chosen] = 0

    def observe(self) -> torch.Tensor:
        """Return place, speed, angle and turn of each cart, and its machine, all of the order of 1."""
        scaled = np.concatenate([self.state / [2.4, 2.0, 0.2, 2.0], self.machine / [0.5, 0.1, 1, 10]], axis=1)
        return torch.from_numpy(scaled.astype(np.float32))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Push all carts for a fiftieth of a second; return (rewards, fallen, cut off)."""
        _, speed, angle, turn = self.state.T
        length, pole, cart, force = self.machine.T
        push = np.where(actions == 1, force, -force)
        sine, cosine = np.sin(angle), np.cos(angle)
        pull = (push + pole * length * turn**2 * sine) / (pole + cart)
        turning = (9.81 * sine - cosine * pull) / (length * (4 / 3 - pole * cosine**2 / (pole + cart)))
        pushing = pull - pole * length * turning * cosine / (pole + cart)
        self.state += 0.02 * np.stack([speed, pushing, turn, turning], axis=1)
        self.steps += 1
        fallen = (abs(self.state[:, 2]) > np.radians(12)) | (abs(self.state[:, 0]) > 2.4)
        return (~fallen).astype(np.float32), fallen, ~fallen & (self.steps >= self.max_steps)


# %% [model]
class ActorCritic(nn.Module):
    """Two layers that actor and critic share, and a head for each."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(config.observation_size, config.hidden_units),
            nn.Tanh(),
            nn.Linear(config.hidden_units, config.hidden_units),
            nn.Tanh(),
        )
        self.actor = nn.Linear(config.hidden_units, config.num_actions)
        self.critic = nn.Linear(config.hidden_units, 1)
        # Almost equal chances at the start: exploration comes for free.
        nn.init.orthogonal_(self.actor.weight, gain=0.01)

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of the actions (carts, num_actions) and values (carts,)."""
        features = self.body(observation)
        return self.actor(features), self.critic(features).squeeze(-1)


def build_model(config: Config) -> nn.Module:
    """Return actor and critic in one network."""
    return ActorCritic(config)


# %% [train]
OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
VALUE_LOSSES = {"huber": nn.SmoothL1Loss, "mean_squared_error": nn.MSELoss}


def named(table: dict[str, type], name: str) -> type:
    """Return what a name stands for."""
    try:
        return table[name]
    except KeyError:
        raise ValueError(f"unknown name {name!r}; expected one of {sorted(table)}") from None


@torch.no_grad()
def collect(model: nn.Module, carts: CartPoles, config: Config, device: torch.device):
    """Play `rollout_steps` steps; return observations, actions, advantages and returns, flattened."""
    seen, acted, rewards, values, following, going_on = [], [], [], [], [], []
    for _ in range(config.rollout_steps):
        observation = carts.observe().to(device)
        logits, value = model(observation)
        action = Categorical(logits=logits).sample()
        reward, fallen, cut = carts.step(action.cpu().numpy())
        # A cut-off episode has a future that the critic knows; a fallen pole has none.
        future = model(carts.observe().to(device))[1] * torch.from_numpy(~fallen).to(device)
        carts.reset(fallen | cut)
        seen.append(observation)
        acted.append(action)
        # Scaled, so that values stay near 1 and the critic does not drown out the actor.
        rewards.append(config.reward_scale * torch.from_numpy(reward).to(device))
        values.append(value)
        following.append(future)
        going_on.append(torch.from_numpy(~(fallen | cut)).to(device))
    advantage, advantages = torch.zeros_like(values[0]), []
    for reward, value, future, on in reversed(list(zip(rewards, values, following, going_on, strict=True))):
        surprise = reward + config.gamma * future - value
        advantage = surprise + config.gamma * config.gae_lambda * on * advantage
        advantages.append(advantage)
    advantages = torch.cat(advantages[::-1])
    return torch.cat(seen), torch.cat(acted), advantages, advantages + torch.cat(values)


@torch.no_grad()
def balance(model: nn.Module, machines: np.ndarray, config: Config) -> np.ndarray:
    """Return how many steps the likeliest actions keep each machine's pole up, four tries each."""
    device = next(model.parameters()).device
    tried = np.repeat(machines, 4, axis=0)
    carts = CartPoles(machines, len(tried), config.max_steps, config.seed)
    carts.reset(np.ones(len(tried), dtype=bool), tried)
    up, total = np.ones(len(tried), dtype=bool), np.zeros(len(tried))
    while up.any():
        actions = model(carts.observe().to(device))[0].argmax(dim=1).cpu().numpy()
        reward, fallen, cut = carts.step(actions)
        total += reward * up
        up &= ~(fallen | cut)
    return total.reshape(len(machines), 4).mean(axis=1)


def train(config: Config) -> dict[str, float]:
    """Alternate between playing and learning; keep the weights that balance validation machines longest."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    machines, held_out, _ = load_data(config)
    carts = CartPoles(machines, config.batch_size, config.max_steps, config.seed)
    model = build_model(config).to(device)
    optimizer = named(OPTIMIZERS, config.optimizer)(model.parameters(), lr=config.learning_rate)
    value_loss = named(VALUE_LOSSES, config.loss)()
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=config.epochs)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best, losses = -1.0, []
    for epoch in range(config.epochs):
        losses = []
        for _ in range(config.updates_per_epoch):
            seen, acted, advantages, returns = collect(model, carts, config, device)
            logits, values = model(seen)
            policy = Categorical(logits=logits)
            scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            actor = -(policy.log_prob(acted) * scaled).mean()
            critic = value_loss(values, returns)
            loss = actor + config.value_weight * critic - config.entropy_bonus * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append((loss.item(), critic.item(), policy.entropy().mean().item()))
        decay.step()
        steps = float(balance(model, held_out, config).mean())
        means = dict(zip(("loss", "critic", "entropy"), np.mean(losses, axis=0).round(3), strict=True))
        print(
            f"epoch {epoch + 1}:", *(f"{name} {value}" for name, value in means.items()), f"steps {steps:.1f}"
        )
        if steps >= best:
            best = steps
            torch.save(model.state_dict(), output / "model.pt")
    final = np.mean(losses, axis=0)
    return {"loss": float(final[0]), "critic_loss": float(final[1]), "val_mean_reward": best}


# %% [evaluate]
def load_agent(config: Config) -> nn.Module:
    """Return the agent that `train` kept."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config).to(device)
    weights = torch.load(Path(config.output_dir) / "model.pt", map_location=device, weights_only=True)
    model.load_state_dict(weights)
    return model.eval()


def evaluate(config: Config) -> dict[str, float]:
    """Measure the mean steps on unseen machines, and the share that stayed up to the end in all tries."""
    _, _, machines = load_data(config)
    steps = balance(load_agent(config), machines, config)
    return {"mean_reward": float(steps.mean()), "mastered": float(np.mean(steps >= config.max_steps))}


# %% [predict]
@torch.no_grad()
def predict(config: Config) -> np.ndarray:
    """Return the chances of the actions (machines, num_actions) when a pole leans to the right."""
    _, _, machines = load_data(config)
    model = load_agent(config)
    carts = CartPoles(machines, len(machines), config.max_steps, config.seed)
    carts.reset(np.ones(len(machines), dtype=bool), machines)
    carts.state[:] = [0.0, 0.0, 0.05, 0.0]
    device = next(model.parameters()).device
    chances = model(carts.observe().to(device))[0].softmax(dim=1).cpu().numpy()
    np.save(Path(config.output_dir) / "predictions.npy", chances)
    return chances


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
