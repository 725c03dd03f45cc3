"""The manifest of a planner folder."""

import hashlib
import json
from pathlib import Path

from dlcodegen_local.planner.files import CHOICES_FILE, MANIFEST_FILE, REQUIRED_FILES

OPTIONAL_FILES = (CHOICES_FILE, "MODEL_CARD.md", "training.json")


def write_manifest(folder: Path, name: str, licence: str) -> None:
    """Write `manifest.json`: path, sha256 and size of every file, and the licence."""
    optional = [name for name in OPTIONAL_FILES if (folder / name).exists()]
    manifest = {
        "name": name,
        "kind": "planner",
        "format": 2,
        "licence": licence,
        "files": [
            {"path": path, "sha256": _sha256(folder / path), "size": (folder / path).stat().st_size}
            for path in sorted((*REQUIRED_FILES, *optional))
        ],
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
