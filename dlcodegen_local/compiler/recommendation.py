"""Recommendation: user and item in, rating out, from embeddings and the planned layers on top."""

import re

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import last_layer
from dlcodegen_local.compiler.rendering import render_calls, wrapped
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_FACTORS = 32
DEFAULT_LAYERS = ("Dense(64, activation='relu')", "Dropout(0.2)")
_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write ratings that follow hidden tastes of users and kinds of items."""
    rng = np.random.default_rng(config.seed)
    users = rng.integers(0, config.num_users, size=config.synthetic_samples)
    items = rng.integers(0, config.num_items, size=config.synthetic_samples)
    taste, kind = rng.normal(size=(config.num_users, 3)), rng.normal(size=(config.num_items, 3))
    score = (taste[users] * kind[items]).sum(axis=1)
    ratings = $ratings
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "ratings.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating"])
        writer.writerows(zip(users, items, ratings))


def load_data(config: Config):
    """Return (train, validation, test), each a pair of (rows, 2) ids and (rows, 1) ratings."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "ratings.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table with the columns user, item, rating")
    table = np.atleast_2d(np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32"))
    ids, ratings = table[:, :2].astype("int32"), table[:, 2:3]
    if ids[:, 0].max() >= config.num_users or ids[:, 1].max() >= config.num_items:
        raise ValueError(f"{path} has larger ids: pass --num-users and --num-items")
    order = np.random.default_rng(config.seed).permutation(len(ids))
    ids, ratings = ids[order], ratings[order]
    first, second = int(0.7 * len(ids)), int(0.85 * len(ids))
    return (
        (ids[:first], ratings[:first]),
        (ids[first:second], ratings[first:second]),
        (ids[second:], ratings[second:]),
    )
'''
_MODEL = '''
$functions


def build_model(config: Config) -> keras.Model:
    """Return the compiled network: $how, then the planned layers."""
    inputs = layers.Input(shape=(2,), dtype="int32")
    user = layers.Embedding(config.num_users, config.num_factors)(inputs[:, 0])
    item = layers.Embedding(config.num_items, config.num_factors)(inputs[:, 1])
    $join
    $network
    model = keras.Model(inputs, x)
    $compile
    return model
'''
_IDS = frozenset({"Input", "Embedding", "Concatenate", "Dot", "Add", "Multiply", "Reshape"})


def compile_recommendation(plan: Plan) -> Program:
    """Compile a plan that predicts ratings (or clicks) of users for items."""
    planned = read_items(plan.layers)
    factors = _factors(planned)
    dot = any(
        item.name in ("Dot", "Multiply") or re.search(r"\bdot\b", item.text, re.IGNORECASE)
        for item in planned
    )
    items = [item for item in _without_leading_flatten(planned) if item.name not in _IDS]
    if not any(item.call is not None for item in items) and not dot:
        items += read_items(DEFAULT_LAYERS)
    last = last_layer(items)
    clicks = "binary" in plan.loss.lower()
    objective = read_objective(plan, Targets("values", 1, last.units, last.activation))
    head = Head((1,), "1", objective.activation, objective.accepts)
    width = factors if dot else 2 * factors
    chain = fit_layers(items, (width,), "", head, {"embedding_dim": Expr("config.num_factors", factors)})
    join = (
        "joined = layers.Multiply()([user, item])" if dot else "joined = layers.Concatenate()([user, item])"
    )
    model = fill(
        _MODEL,
        functions=objective.functions,
        how="the product of both embeddings" if dot else "both embeddings side by side",
        join=join,
        network="\n".join(render_calls(chain, "joined")),
        compile=wrapped(objective.compile_call, 0),
    )
    ratings = "(score > 0).astype(int)" if clicks else "np.clip(np.round(3 + score), 1, 5)"
    return Program(
        title="Recommendation with embeddings",
        summary=f"Learns a vector for every user and item and predicts ratings. Preprocessing "
        f"planned: {plan.preprocess[:300] or 'none'}",
        data_format="`data_dir/ratings.csv` with the columns user, item, rating; users and items "
        "are numbered from 0" + (", a rating is 0 or 1." if clicks else "."),
        data=fill(_DATA, ratings=ratings),
        model=model,
        **array_sections("the predicted ratings"),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=(
            Setting("num_users", _count(plan, "users", 100)),
            Setting("num_items", _count(plan, r"(?:items|books|movies|products|articles)", 200)),
            Setting("num_factors", factors),
        ),
        deviations=(*objective.deviations, *chain.deviations),
    )


def _factors(items: list[Item]) -> int:
    """Return the embeddings' width that the plan states."""
    for item in items:
        if item.name == "Embedding" and item.call is not None:
            for value in (item.call.get("output_dim", 1), item.call.get("embedding_dim")):
                if isinstance(value, int) and 1 <= value <= 1024:
                    return value
    return DEFAULT_FACTORS


def _without_leading_flatten(items: list[Item]) -> list[Item]:
    """Drop the Flatten layers that plans put between embeddings and their junction."""
    kept, seen_dense = [], False
    for item in items:
        seen_dense = seen_dense or item.name == "Dense"
        if item.name != "Flatten" or seen_dense:
            kept.append(item)
    return kept


def _count(plan: Plan, noun: str, default: int) -> int:
    match = re.search(rf"(\d{{1,3}}(?:,\d{{3}})+|\d+)\s+(?:\w+\s+)?{noun}", plan.dataset_input)
    count = int(match.group(1).replace(",", "")) if match else default
    return count if 2 <= count <= 1_000_000 else default
