"""Where no sandbox works: static checks only and exit code 6; code runs where --unsafe-run is typed."""

import importlib.util
import os
import subprocess
import sys

import pytest

from dlcodegen_local.verification import seccomp
from tests.cli.conftest import REPOSITORY
from tests.generation.scripts import PLAN, TABLE
from tests.generation.tiny_gguf import write_tiny_gguf

MACHINE = os.uname().machine
# A process that can make no namespace, nor use Landlock, nor gain the right to.
SHUT = (
    "import sys\n"
    "from dlcodegen_local.cli import main\n"
    "from dlcodegen_local.verification import seccomp, syscalls\n"
    "syscalls.renounce_privileges()\n"
    "syscalls.load_filter(seccomp.build_filter({machine!r}, namespaces=True))\n"
    "syscalls.load_filter(seccomp.refuse_calls({machine!r}, (444, 445, 446)))\n"
    "sys.argv = ['dlcodegen', *{arguments!r}]\n"
    "main()\n"
)

pytestmark = pytest.mark.skipif(not seccomp.supported(MACHINE), reason="no filter for this machine")


@pytest.fixture
def shut(tmp_path):
    """Return a function that runs a command where no sandbox works."""
    (tmp_path / "table.py").write_text(TABLE)
    (tmp_path / "plan.json").write_text(PLAN.to_json())

    def call(*arguments, **changes):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(
            [sys.executable, "-c", SHUT.format(machine=MACHINE, arguments=arguments)],
            cwd=tmp_path, env={**environment, **changes}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return call


def test_verify_makes_the_static_checks_and_says_why_nothing_ran(shut):
    answer = shut("verify", "table.py", "--smoke", "--plan", "plan.json")
    assert answer.returncode == 6, answer.stderr
    assert "static: passed" in answer.stdout
    assert "smoke: not run" in answer.stdout
    assert "static checks only" in answer.stderr and "--unsafe-run" in answer.stderr


def test_findings_count_more_than_a_missing_sandbox(shut, tmp_path):
    (tmp_path / "table.py").write_text(TABLE.replace("return model", "return modell"))
    assert shut("verify", "table.py", "--smoke").returncode == 1


def test_generate_delivers_an_unproved_project_with_an_exit_code_of_its_own(shut, tmp_path):
    write_tiny_gguf(tmp_path / "tiny.gguf")
    fast = ("--plan", "plan.json", "--model", "tiny.gguf", "--repairs", "0", "--fast")
    answer = shut("generate", "Classify rows of a table", "-o", "out", *fast)
    assert answer.returncode == 6, answer.stderr
    assert "smoke run   not run" in answer.stdout
    assert (tmp_path / "out" / "train.py").is_file()


@pytest.mark.parametrize("where", ["variable", "settings"])
def test_unsafe_run_must_be_typed(shut, tmp_path, where):
    (tmp_path / ".config/dlcodegen").mkdir(parents=True)
    if where == "settings":
        (tmp_path / ".config/dlcodegen/dlcodegen.toml").write_text("[verify]\nunsafe_run = true\n")
    variables = {"DLCODEGEN_VERIFY_UNSAFE_RUN": "1"} if where == "variable" else {}
    answer = shut("verify", "table.py", "--smoke", **variables)
    assert answer.returncode == 2
    assert "--unsafe-run counts only where it is typed" in answer.stderr


@pytest.mark.smoke
def test_what_was_typed_is_done_and_said(shut):
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs the keras extra")
    answer = shut("verify", str(REPOSITORY / "index/samples/churn_dense.py"), "--smoke", "--unsafe-run")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "smoke: passed" in answer.stdout
    assert "with all that you may do" in answer.stderr
