from pathlib import Path

import pytest

from dlcodegen_local.generation.backends import load_backends


def test_a_build_with_its_code_inside_loads_nothing(tmp_path):
    (tmp_path / "libggml-cpu.so").write_bytes(b"no library")
    load_backends(tmp_path)


def test_the_best_library_for_this_processor_is_loaded():
    llama_cpp = pytest.importorskip("llama_cpp")
    folder = Path(llama_cpp.__file__).parent / "lib"
    if not any(folder.glob("libggml-cpu-*.so")):
        pytest.skip("this llama.cpp is built for one processor")
    load_backends(folder)
    mapped = {
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "libggml-cpu-" in line
    }
    assert len(mapped) == 1
