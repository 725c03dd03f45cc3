"""What a report shows of one task: its requirement, its reference, what every system made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """Hold one task; `predictions` maps a system to its text and to its error, "" where it has none."""

    id: str
    requirement: str
    reference: str
    predictions: Mapping[str, tuple[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that the folder of a table keeps."""
        return {
            "id": self.id,
            "requirement": self.requirement,
            "reference": self.reference,
            "predictions": {name: list(found) for name, found in self.predictions.items()},
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Item":
        """Read what `to_dict` gave."""
        predictions = {
            str(name): (str(text), str(error)) for name, (text, error) in row["predictions"].items()
        }
        return cls(str(row["id"]), str(row["requirement"]), str(row["reference"]), predictions)
