"""The bare commands of a bundle: `python3 verify.py` and `python3 install.py`. Standard library, Python 3.8.

Guarantees one line on stderr for what a user can mend, with the exit code that `dlcodegen` has for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dlcodegen_local.bundle.verification import Verified, verify_bundle
from dlcodegen_local.errors import ConfigError, DlcodegenError


def run(tool: str, arguments: list[str]) -> int:
    """Run `verify` or `install` and return the exit code: 0, 2, 3, or 130."""
    try:
        print(_verify(arguments) if tool == "verify" else _install(arguments))
        return 0
    except DlcodegenError as exc:
        _say(f"{exc.message} ({exc.hint})" if exc.hint else exc.message)
        return exc.exit_code
    except OSError as exc:
        _say(f"{exc.filename or 'the disk'}: {exc.strerror or exc}")
        return ConfigError.exit_code
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on")
        return 130


def describe(verified: Verified) -> dict[str, object]:
    """Return what `--json` prints of a sound bundle."""
    manifest = verified.manifest
    return {
        "version": manifest.facts["version"],
        "platform": manifest.facts["platform"],
        "python": manifest.facts["python"],
        "files": len(manifest.files),
        "size_bytes": manifest.size_bytes,
        "manifest_sha256": manifest.sha256,
        "signature": verified.signature,
    }


def summary(verified: Verified) -> str:
    """Return what a person is told of a sound bundle."""
    facts = describe(verified)
    return (
        f"dlcodegen {facts['version']} for Python {facts['python']} on {facts['platform']}: "
        f"{facts['files']} files, {verified.manifest.size_bytes / 1e6:.1f} MB, as the manifest says\n"
        f"manifest sha256: {facts['manifest_sha256']}\n"
        f"signature: {facts['signature']}"
    )


def _parser(tool: str, does: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{tool}.py", description=does)
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        default=Path(sys.argv[0]).resolve().parent,
        help="its folder or archive",
    )
    parser.add_argument(
        "--signature-by", type=Path, metavar="FILE", help="whose signature it must have: a public key"
    )
    return parser


def _verify(arguments: list[str]) -> str:
    parser = _parser("verify", "Check every file of a bundle against its manifest. Nothing is written.")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    verified = verify_bundle(options.bundle, options.signature_by)
    return json.dumps(describe(verified), indent=2) if options.json else summary(verified)


def _install(arguments: list[str]) -> str:
    # Checking works on systems that installing does not know.
    from dlcodegen_local.bundle.installation import default_prefix, install_bundle

    parser = _parser("install", "Check a bundle and install it. No network is used.")
    parser.add_argument("--prefix", type=Path, default=default_prefix(), help="where to; else ~/dlcodegen")
    options = parser.parse_args(arguments)
    done = install_bundle(options.bundle, options.prefix, options.signature_by, notify=_say)
    return f"installed: {done.launcher}"


def _say(text: str) -> None:
    shown = "".join(char if char.isprintable() else " " for char in text)
    print(" ".join(shown.split()), file=sys.stderr, flush=True)
