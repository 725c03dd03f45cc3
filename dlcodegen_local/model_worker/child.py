"""The model's process: confines itself, loads one model, answers requests until its input ends.

Started as `python -m dlcodegen_local.model_worker.child DESCRIPTOR MEMORY_BYTES`, the model an open
descriptor, requests on stdin, answers on stdout. What native code prints goes nowhere. Imports little
before `confine`, and llama.cpp after it.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dlcodegen_local.errors import DlcodegenError
from dlcodegen_local.model_worker import confinement, frames

if TYPE_CHECKING:
    from dlcodegen_local.generation.llama_cpp_llm import LoadedLLM
    from dlcodegen_local.generation.llm import Progress

_READ_BYTES = 65_536
_BEAT_S = 1.0
_SHOW_S = 0.02

Message = dict[str, Any]
# Makes the model of a `load` request, from the descriptor's path; calls back to show that it works.
Load = Callable[[Message, str, Callable[[], None]], "LoadedLLM"]
Operation = Callable[["LoadedLLM", "Link", Message], Any]


class Link:
    """The child's end: requests come in, answers go out.

    Takes the place of stdin and stdout, so that nothing else reads or writes there.
    """

    def __init__(self) -> None:
        self._requests, self._answers = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        self._frames = frames.FrameReader()
        self._last_sent = time.monotonic()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; ends this process where nobody listens any more."""
        left = memoryview(frames.encode(message))
        try:
            while left:
                left = left[os.write(self._answers, left) :]
        except BrokenPipeError:
            os._exit(0)
        self._last_sent = time.monotonic()

    def receive(self) -> Message:
        """Return the next request; ends this process where there will be none."""
        while (message := self._frames.next_message()) is None:
            piece = os.read(self._requests, _READ_BYTES)
            if not piece:
                os._exit(0)
            self._frames.feed(piece)
        return message

    def beat(self) -> None:
        """Show that work goes on, where nothing was sent for a while."""
        if time.monotonic() - self._last_sent >= _BEAT_S:
            self.send({"beat": True})


class _Shown:
    """Send progress on, and with it what was written, many tokens at once where they come fast."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._texts: list[str] = []
        self._waiting: Progress | None = None
        self._sent = 0.0

    def __call__(self, progress: "Progress") -> None:
        """Take one step of the model."""
        self._texts.append(progress.text)
        self._waiting = progress
        if progress.kind == "reading" or time.monotonic() - self._sent >= _SHOW_S:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        from dlcodegen_local.model_worker.values import progress_values

        if self._waiting is not None:
            shown = [*progress_values(self._waiting)[:-1], "".join(self._texts)]
            self._link.send({"progress": shown})
            self._texts, self._waiting, self._sent = [], None, time.monotonic()


def main(load: Load, operations: Mapping[str, Operation]) -> None:
    """Confine this process, then answer; never returns while somebody asks."""
    link = Link()
    model = int(sys.argv[1])
    landlock = confinement.confine(model, int(sys.argv[2]))
    try:
        from dlcodegen_local.generation.native import load_library

        load_library()
    except ImportError as exc:
        link.send({"missing": exc.name or "llama_cpp"})
        return
    except DlcodegenError as exc:
        link.send(_error(exc))
        return
    is_sealed = confinement.seal()
    link.send({"ready": {"landlock": landlock, "sealed": is_sealed}})
    llm: LoadedLLM | None = None
    while True:
        request = link.receive()
        name = request.pop("do")
        try:
            if name == "load":
                llm = load(request, f"/proc/self/fd/{model}", link.beat)
                answer = dict(llm.info.pace)
            else:
                assert llm is not None
                answer = operations[name](llm, link, request)
        except DlcodegenError as exc:
            link.send(_error(exc))
        except Exception as exc:
            link.send({"failed": f"{type(exc).__name__}: {exc}"})
        else:
            link.send({"answer": answer})


def _error(exc: DlcodegenError) -> Message:
    return {"error": [type(exc).__name__, exc.message, exc.hint]}


def load_model(request: Message, source: str, beat: Callable[[], None]) -> "LoadedLLM":
    """Load the model, and measure it where no pace is given."""
    from dlcodegen_local.generation.llama_cpp_llm import LoadedLLM

    native, info, pace = open_model(request, source, beat)
    return LoadedLLM(native, info, pace)


def open_model(request: Message, source: str, beat: Callable[[], None]) -> Any:
    """Return the native model of a `load` request, what is known of it, and its pace."""
    from pathlib import Path

    from dlcodegen_local.errors import ArtifactError
    from dlcodegen_local.generation.llm import ModelInfo
    from dlcodegen_local.generation.native import NativeModel
    from dlcodegen_local.generation.pace import Pace, default_pace, measure_pace

    class BeatingModel(NativeModel):
        """Show after each step that it works."""

        def decode(self, *arguments: Any, **options: Any) -> None:
            """Run the model; see `NativeModel.decode`."""
            super().decode(*arguments, **options)
            beat()

    path, n_threads = Path(request["path"]), request["n_threads"]
    info = ModelInfo(path=path, size_bytes=0, **request["info"])
    try:
        os.close(os.open(source, os.O_RDONLY))
    except OSError as exc:
        hint = "run dlcodegen as the user whose file it is, or make the file readable"
        raise ArtifactError(f"{path} cannot be read by the model's process: {exc.strerror}", hint) from exc
    native = BeatingModel(path, info.n_ctx, source)
    if request["pace"] is not None:
        return native, info, Pace.from_dict(request["pace"])
    pace = default_pace(info.n_params or 0, n_threads)
    return native, info, measure_pace(native, pace, n_threads) if request["measured"] else pace


def complete(llm: "LoadedLLM", link: Link, request: Message) -> Any:
    """Answer a prompt; after every line a known judge, or the other side, says whether to go on."""
    from dataclasses import asdict

    from dlcodegen_local.generation.llm import Prompt, Sampling
    from dlcodegen_local.model_worker.values import JUDGES

    shown = _Shown(link) if request["shown"] else None
    asked = 0

    def is_hopeless(text: str) -> bool:
        """Ask the other side, which gets what is new of the text."""
        nonlocal asked
        if shown:
            shown.flush()
        link.send({"line": text[asked:]})
        asked = len(text)
        return bool(link.receive()["hopeless"])

    given = {**request["sampling"], "stop": tuple(request["sampling"]["stop"])}
    judge = is_hopeless if request["judge"] == "caller" else JUDGES.get(request["judge"])
    sampling = Sampling(**given, is_hopeless=judge)
    completion = llm.complete(Prompt(*request["prompt"]), sampling=sampling, on_progress=shown)
    if shown:
        shown.flush()
    return asdict(completion)


def score(llm: "LoadedLLM", link: Link, request: Message) -> Any:
    """Return the likelihoods of candidates."""
    from dlcodegen_local.generation.llm import Prompt

    return llm.score(Prompt(*request["prompt"]), request["candidates"])


def count(llm: "LoadedLLM", link: Link, request: Message) -> Any:
    """Return the number of tokens of a text."""
    return llm.count_tokens(request["text"])


OPERATIONS: Mapping[str, Operation] = {"complete": complete, "score": score, "count": count}

if __name__ == "__main__":
    main(load_model, OPERATIONS)
