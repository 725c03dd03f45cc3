"""What is known of one generated program when it is written out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.plan.schema import Plan


@dataclass(frozen=True)
class Project:
    """Hold all that is written about one generated program.

    `origin` is `merge`, `repair`, `code-rag`, `template-rag` or `compiler`; `provenance` maps each
    section to its source (`model`, `sample:ID`, `compiler`, ...); `licences` maps a sample's id to its SPDX
    identifier (empty: none is named), `pools` to the pool that holds it; `facts` are the smoke run's
    measurements; `verification` is its JSON object.
    """

    requirement: str
    plan: Plan
    source: str
    origin: str
    provenance: Mapping[str, str]
    licences: Mapping[str, str]
    pools: Mapping[str, str]
    facts: Mapping[str, Any]
    verification: Mapping[str, Any]
    record: Mapping[str, Any]
