"""Signatures of a manifest: made and checked by ssh-keygen or minisign. Standard library, Python 3.8.

Guarantees that a good answer is one of the tool's own, for exactly the bytes that were read. Holds no
cryptography itself: where the tool is missing, a signature cannot be checked, and that is an error.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from dlcodegen_local.bundle.contents import MANIFEST, SIGNATURES, Head
from dlcodegen_local.errors import ArtifactError, ConfigError

NAMESPACE = "dlcodegen-bundle"
_SSH, _MINISIGN = SIGNATURES
_TIMEOUT_S = 60
_MAX_KEY_BYTES = 64 << 10
_COMMENT = "untrusted comment:"


def check_signature(head: Head, signer: Path) -> str:
    """Return what the tool says of a good signature by the owner of `signer`.

    `signer` is a minisign public key, an OpenSSH public key, or an allowed_signers file.

    Raises:
        ArtifactError: there is no signature, it is another's, or the tool is missing.
        ConfigError: `signer` cannot be read.
    """
    text = _read_key(signer)
    if head.signature is None:
        raise ArtifactError("the bundle is not signed", hint="ask for a signed one, or check it without")
    name, signature = head.signature
    is_minisign = text.startswith((_COMMENT, "RW"))
    if is_minisign != (name == _MINISIGN):
        raise ArtifactError(f"{name} is not made by the tool of {signer}", hint="give the signer's other key")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / MANIFEST).write_bytes(head.payload)
        (folder / name).write_bytes(signature)
        (folder / "signer").write_text(text, encoding="utf-8")
        return _check_minisign(folder) if is_minisign else _check_ssh(folder, text)


def sign(manifest: Path, key: Path) -> Path:
    """Sign a manifest with a private key; return the signature's file, which lies beside it.

    A passphrase is asked for by the tool, on the terminal.

    Raises:
        ConfigError: the tool is missing, or refuses the key.
    """
    is_minisign = _read_key(key).startswith(_COMMENT)
    result = manifest.parent / (_MINISIGN if is_minisign else _SSH)
    if is_minisign:
        command = ["minisign", "-S", "-s", str(key), "-m", str(manifest), "-x", str(result)]
    else:
        command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(manifest)]
    if shutil.which(command[0]) is None:
        raise ConfigError(f"{command[0]} is not installed: the bundle cannot be signed", hint="install it")
    outcome = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if outcome.returncode or not result.is_file():
        said = outcome.stderr.decode("utf-8", "replace").strip()
        raise ConfigError(f"{key} does not sign: {said[:200]}", hint="give a private key")
    return result


def _check_ssh(folder: Path, text: str) -> str:
    signer, signature = str(folder / "signer"), str(folder / _SSH)
    first = text.split(None, 1)[0] if text.split() else ""
    if first.startswith(("ssh-", "ecdsa-", "sk-")):  # a public key: nobody is named, so it is anybody's
        (folder / "signer").write_text(f"signer {text}", encoding="utf-8")
        principal = "signer"
    else:
        found = _ask(["ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", signer], b"")
        principal = found.splitlines()[0] if found else ""
    payload = (folder / MANIFEST).read_bytes()
    command = ["ssh-keygen", "-Y", "verify", "-f", signer, "-I", principal, "-n", NAMESPACE, "-s", signature]
    return _ask(command, payload)


def _check_minisign(folder: Path) -> str:
    line = (folder / "signer").read_text(encoding="utf-8").strip().splitlines()[-1]
    return _ask(
        ["minisign", "-V", "-P", line, "-m", str(folder / MANIFEST), "-x", str(folder / _MINISIGN)], b""
    )


def _ask(command: list[str], payload: bytes) -> str:
    """Return the first line of the tool's answer.

    Raises:
        ArtifactError: the tool is missing, or its answer is no.
    """
    if shutil.which(command[0]) is None:
        raise ArtifactError(f"{command[0]} is not installed: no signature can be checked", hint="install it")
    try:
        outcome = subprocess.run(command, input=payload, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as exc:
        raise ArtifactError(f"{command[0]} does not answer") from exc
    if outcome.returncode:
        raise ArtifactError(
            "the signature is not one of the given signer for this manifest", hint="do not use the bundle"
        )
    lines = outcome.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else ""


def _read_key(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            payload = file.read(_MAX_KEY_BYTES)
        return payload.decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read as a key", hint="check the path") from exc
