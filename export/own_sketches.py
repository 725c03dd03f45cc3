"""What a sketch of our own is, and how it becomes a training row in a stranger's words."""

import random
from dataclasses import dataclass
from typing import TypeVar

from dlcodegen_local.plan.schema import Plan

Choice = TypeVar("Choice")

OPENINGS = (
    "Build a model to {}",
    "Train a neural network to {}",
    "Create a deep learning model to {}",
    "{}",
    "Please {}",
    "I need a network to {}",
    "Develop a model that can {}",
    "Write code to {}",
    "How do I {}",
    "We would like to {}",
    "Design and train a network to {}",
    "Make a model to {}",
    "keras model to {}",
)
OPTIMIZERS = ("adam", "adam", "adam", "adam", "rmsprop", "sgd", "adamw", "nadam")


@dataclass(frozen=True)
class Sketch:
    """Hold a task in the infinitive and the plan that answers it.

    `size` and `classes` are facts that the requirement may state, 0 for none.
    """

    task: str
    category: str
    dataset_input: str
    dataset_output: str
    preprocess: str
    layers: tuple[str, ...]
    loss: str
    metric: str = "accuracy"
    learning_rate: float = 0.0
    batch_size: int = 0
    epochs: int = 0
    size: int = 0
    classes: int = 0


def pick(rng: random.Random, *choices: Choice) -> Choice:
    """Return one of the choices."""
    return rng.choice(choices)


def plan_of(sketch: Sketch, rng: random.Random) -> Plan:
    """Return the plan of a sketch; hyperparameters that the sketch leaves open are drawn."""
    return Plan(
        category=sketch.category,
        dataset_input=sketch.dataset_input,
        dataset_output=sketch.dataset_output,
        preprocess=sketch.preprocess,
        layers=sketch.layers,
        optimizer=pick(rng, *OPTIMIZERS),
        loss=sketch.loss,
        learning_rate=sketch.learning_rate or pick(rng, 0.001, 0.001, 0.001, 0.0001, 0.0005),
        batch_size=sketch.batch_size or pick(rng, 16, 32, 32, 32, 64),
        epochs=sketch.epochs or pick(rng, 10, 15, 20, 30, 50),
        metric=sketch.metric,
    )


def in_words(sketch: Sketch, rng: random.Random) -> tuple[str, str, Plan]:
    """Return requirement, dataset attributes and plan of a sketch; some settings are stated."""
    plan = plan_of(sketch, rng)
    requirement = pick(rng, *OPENINGS).format(sketch.task)
    facts = []
    if sketch.size and rng.random() < 0.4:
        facts.append(pick(rng, "{0}x{0} pixels", "images of {0} x {0}", "image size {0}").format(sketch.size))
    if rng.random() < 0.25:
        facts.append(pick(rng, "{} optimizer", "optimizer {}").format(plan.optimizer))
    if rng.random() < 0.25:
        facts.append(f"{plan.epochs} epochs")
    if rng.random() < 0.2:
        facts.append(f"batch size {plan.batch_size}")
    rng.shuffle(facts)
    requirement = ", ".join([requirement, *facts]) + pick(rng, ".", "")
    requirement = requirement[:1].upper() + requirement[1:] if rng.random() < 0.8 else requirement.lower()
    dataset = ""
    if rng.random() < 0.35:
        dataset = f"The dataset holds {rng.randint(2, 90) * 100} examples"
        dataset += f" in {sketch.classes} classes." if sketch.classes else "."
    return requirement, dataset, plan
