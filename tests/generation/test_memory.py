import re
import subprocess
import sys

import pytest

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.generation.memory import (
    available_bytes,
    choose_context,
    needed_by_context,
    needed_bytes,
    paging_note,
)
from tests.benchmarks.random_gguf import Shape, random_gguf


def test_a_model_that_cannot_fit_is_refused_with_figures(tiny_gguf):
    header = read_header(tiny_gguf)
    with pytest.raises(ArtifactError, match=r"needs about \d+ MiB .* 1 MiB are free"):
        choose_context(header, None, available=1 << 20)
    assert choose_context(header, None, available=1 << 40) == 1024
    assert choose_context(header, None, available=needed_bytes(header, 512)) == 512
    with pytest.raises(ConfigError, match="n_ctx 4096"):
        choose_context(header, 4096)


def test_a_model_that_leaves_little_memory_is_told_to_page(tiny_gguf):
    header = read_header(tiny_gguf)
    needed = needed_bytes(header, 1024)
    assert paging_note(header, 1024, available=needed * 2) is None
    assert "expect paging" in paging_note(header, 1024, available=needed)


def test_the_memory_of_several_contexts_grows_up_to_what_the_model_was_trained_for(tiny_gguf):
    assert list(needed_by_context(read_header(tiny_gguf))) == [1024]


def test_a_container_has_the_memory_of_its_group(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 4096 kB\n")
    assert available_bytes(tmp_path) == 4 << 20
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    for name, text in (
        ("max", "3000000"),
        ("current", "2000000"),
        ("stat", "anon 1\ninactive_file 500000\n"),
    ):
        (group / f"memory.{name}").write_text(text)
    assert available_bytes(tmp_path) == 1_500_000
    (group / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path) == 4 << 20


_UNDER_A_LIMIT = """
import resource, sys
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
import llama_cpp

with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20),) * 2)
try:
    LlamaCppLLM(sys.argv[1])
except ArtifactError as exc:
    print(exc.message)
"""


def test_a_model_over_the_limit_of_the_process_is_refused_with_figures(tiny_gguf):
    command = [sys.executable, "-c", _UNDER_A_LIMIT, str(tiny_gguf)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.match(r"the model needs about \d+ MiB of memory .*, 1\d MiB are free", refused.stdout), refused


def test_a_context_is_halved_rather_than_paged_with_and_a_short_one_pages(tmp_path):
    header = read_header(random_gguf(tmp_path / "long.gguf", Shape(1, 256, 256, 4, 16_000)))
    needed = {n_ctx: needed_bytes(header, n_ctx) for n_ctx in (512, 2048, 8192, 16_384)}
    assert choose_context(header, None, available=2 * needed[16_384]) == 16_384
    halved = choose_context(header, None, available=needed[16_384])
    assert halved in (4096, 8192)
    assert paging_note(header, halved, available=needed[16_384]) is None
    assert choose_context(header, None, available=needed[2048]) == 2048
    assert f"{needed[2048] >> 20} MiB are free" in paging_note(header, 2048, available=needed[2048])
    assert choose_context(header, None, available=needed[512]) == 512
    assert choose_context(header, 16_384, available=needed[16_384]) == 16_384
    with pytest.raises(ArtifactError, match="with a context of 16384 tokens"):
        choose_context(header, 16_384, available=needed[8192])
