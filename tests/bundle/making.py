"""Tiny wheels and bundles for tests: a wheel is a zip made here; pip is the one that Python brings."""

import base64
import ensurepip
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from dlcodegen_local import __version__
from dlcodegen_local.bundle.creation import Created, Order, create_bundle
from dlcodegen_local.bundle.wheels import Target

PLATFORM = "manylinux_2_5_x86_64"
LONG_TAG = "py3-none-" + ".".join(f"manylinux_2_{minor}_x86_64" for minor in (5, 17, 24, 28, 31))
CREATED = "2026-01-02T03:04:05Z"
LAUNCHED = "def main():\n    print('[]')\n"


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    metadata: str = "License-Expression: MIT\n",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a wheel that pip can install; `metadata` are further lines of its METADATA."""
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    members = {
        **(files or {f"{plain}.py": ""}),
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/licenses/LICENSE": f"the licence of {name}\n",
    }
    if name == "dlcodegen":
        members[f"{info}/entry_points.txt"] = "[console_scripts]\ndlcodegen = launched:main\n"
    rows = []
    for path, text in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,\n"])
    path = folder / f"{plain}-{version}-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def make_wheels(folder: Path, launched: str = LAUNCHED) -> Path:
    """Write all wheels of a bundle: the tool, an engine for two processors, what the extra needs, pip."""
    make_wheel(
        folder,
        "dlcodegen",
        __version__,
        metadata="License-Expression: Apache-2.0\nRequires-Dist: llama-cpp-python>=0.3\n"
        "Provides-Extra: keras\n"
        'Requires-Dist: train; extra == "keras"\n',
        files={
            "launched.py": launched,
            f"dlcodegen-{__version__}.data/data/share/dlcodegen/docs/README.md": "# what it is\n",
        },
    )
    make_wheel(
        folder,
        "llama-cpp-python",
        "0.3.36",
        tag=f"py3-none-{PLATFORM}",
        files={
            "llama_cpp/lib/libggml-cpu-sse42.so": "old",
            "llama_cpp/lib/libggml-cpu-haswell.so": "new",
            "llama_cpp_python.libs/libgomp-24e2ab19.so.1.0.0": "threads",
        },
    )
    make_wheel(
        folder,
        "train",
        tag=LONG_TAG,
        metadata="License: BSD\nClassifier: License :: OSI Approved :: BSD License\n",
    )
    (pip,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    (folder / pip.name).write_bytes(pip.read_bytes())
    return folder


def make_model(folder: Path, name: str = "tiny") -> Path:
    """Write a model folder: a file that is no model, and its manifest."""
    (folder / name).mkdir(parents=True)
    (folder / name / "weights.bin").write_bytes(b"weights" * 10)
    (folder / name / "MODEL_CARD.md").write_text("a card\n", encoding="utf-8")
    digest = hashlib.sha256(b"weights" * 10).hexdigest()
    files = [{"path": "weights.bin", "size": 70, "sha256": digest}]
    table = {"name": name, "kind": "code-model", "licence": "Apache-2.0", "files": files}
    (folder / name / "manifest.json").write_text(json.dumps(table), encoding="utf-8")
    return folder / name


def make_bundle(
    work: Path,
    output: Path,
    *,
    python: str = "3.11",
    part_bytes: int | None = None,
    key: Path | None = None,
    launched: str = LAUNCHED,
) -> Created:
    """Make a bundle of tiny wheels and a tiny model at `output`; `work` is an empty folder."""
    order = Order(
        wheels=make_wheels(work / "wheels", launched),
        target=Target(PLATFORM, python),
        extras=("keras",),
        models=(make_model(work / "models"),),
        pools=(),
        created=CREATED,
        signing_key=key,
    )
    return create_bundle(order, output, part_bytes, lambda line: None)
