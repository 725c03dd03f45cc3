"""Ways to damage bytes and JSON; a generator of random numbers decides, and nothing else."""

import json
import random
from typing import Any

COUNTS = (0, 1, 2, 127, 128, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)
_TEXTS = (
    "",
    "..",
    "/",
    "../../outside/canary",
    "a\x00b",
    "\n",
    "\x1b[2J",
    "\u202e",
    "\ud800",
    "x" * 300,
    "é" * 70,
)
_VALUES: tuple[Any, ...] = (None, True, False, -1, 0, 1, 2**63, 10**30, 0.5, 1e308, [], {}, [[]], *_TEXTS)
_LITERALS = ("1e999", "-1e999", "NaN", "-Infinity", "1" * 5000, "9" * 400)
_MAX_ITEMS = 20_000


def damage_bytes(content: bytes, rng: random.Random, *, start: int = 0, end: int | None = None) -> bytes:
    """Return the bytes with flipped bits, a lying number, a cut, or a part lost, doubled or moved.

    The place lies between `start` and `end`; a cut may lie anywhere.
    """
    end = len(content) if end is None else min(end, len(content))
    if end - start < 16:
        return content + rng.randbytes(rng.randrange(64))
    changed = bytearray(content)
    place = rng.randrange(start, end - 8)
    other = min(end, place + rng.choice((1, 4, 8, 30, 200, 5000)))
    kind = rng.randrange(7)
    if kind == 0:
        for _ in range(rng.choice((1, 1, 1, 2, 5, 40))):
            changed[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
    elif kind == 1:
        width = rng.choice((1, 2, 4, 8))
        changed[place : place + width] = (rng.choice(COUNTS) % 256**width).to_bytes(width, "little")
    elif kind == 2:
        del changed[rng.randrange(len(changed)) :]
    elif kind == 3:
        del changed[place:other]
    elif kind == 4:
        changed[place:other] = changed[place:other] * rng.choice((2, 2, 3, 50))
    elif kind == 5:
        target = rng.randrange(start, end)
        changed[target:target] = changed[place:other]
    else:
        changed[place:other] = rng.randbytes(other - place)
    return bytes(changed)


def damage_json(content: bytes, rng: random.Random) -> bytes:
    """Return a JSON text with one or more values, keys or literals replaced, deep nests, or damage."""
    kind = rng.randrange(8)
    if kind == 0:
        return damage_bytes(content, rng)
    if kind == 1:
        depth = rng.choice((50, 900, 20_000, 200_000))
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        nested = (opening * depth + "1" + closing * depth).encode()
        return nested if rng.random() < 0.5 else _with_literal(content, nested.decode(), rng)
    if kind == 2:
        return _with_literal(content, rng.choice(_LITERALS), rng)
    table = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        damage_value(table, rng)
    return json.dumps(table, indent=rng.choice((None, 2))).encode()


def _with_literal(content: bytes, literal: str, rng: random.Random) -> bytes:
    """Put a text that is no Python value in the place of a value."""
    table = json.loads(content)
    place = f"here-{rng.randrange(10**9)}"
    container, key = _any_place(table, rng)
    container[key] = place
    return json.dumps(table).encode().replace(f'"{place}"'.encode(), literal.encode())


def damage_value(table: Any, rng: random.Random) -> None:
    """Change, rename or remove one value somewhere in a tree of JSON."""
    container, key = _any_place(table, rng)
    kind = rng.randrange(5)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[rng.choice((*_TEXTS, "files", "path", "size"))] = container.pop(key)
    elif kind == 2 and isinstance(container[key], int):
        container[key] = rng.choice(
            (*COUNTS, -1, container[key] + 1, container[key] * 2, float(container[key]))
        )
    elif kind == 3 and isinstance(container[key], list | str):
        container[key] = (container[key] * rng.choice((2, 100)))[:_MAX_ITEMS]
    else:
        container[key] = rng.choice(_VALUES)


def _any_place(table: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container in the tree and a key in it; a tree of nothing gets one of its own."""
    places = []
    stack = [table]
    while stack:
        item = stack.pop()
        keys = item.keys() if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in list(keys)[:2000]:
            places.append((item, key))
            if isinstance(item[key], dict | list):
                stack.append(item[key])
    return rng.choice(places) if places else ({"": 0}, "")
