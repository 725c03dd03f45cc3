"""A process that behaves as a hostile model could make ours behave; the mode is the first argument.

Modes that begin with `answers` load, and answer every request so; the others end before.
"""

import json
import os
import signal
import struct
import sys
import time

READY = {"ready": {"landlock": 1, "sealed": True}}
PACE = {"answer": {"threads": [1, 1], "chunk_tokens": 64, "steps": None}}
COMPLETION = {
    "text": "x",
    "finish_reason": "stop",
    "prompt_tokens": 1,
    "completion_tokens": 1,
    "prompt_seconds": 0.0,
    "completion_seconds": 0.0,
    "cached_tokens": 0,
    "drafted_tokens": 0,
    "accepted_tokens": 0,
}


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def said(message: object) -> bytes:
    return framed(json.dumps(message).encode())


ANSWERS = {
    "answers with a length of four gigabytes": b"\xff" * 64,
    "answers with noise": framed(b"\x00\xfe noise"),
    "answers with no object": said([1, 2]),
    "answers with nests": framed(b'{"answer":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "answers with half a character": framed(
        json.dumps({"answer": {**COMPLETION, "text": "x"}}).replace('"x"', '"\\ud800"').encode()
    ),
    "answers with negative counts": said({"answer": {**COMPLETION, "prompt_tokens": -1}}),
    "answers with infinite seconds": said({"answer": {**COMPLETION, "prompt_seconds": float("inf")}}),
    "answers with another reason": said({"answer": {**COMPLETION, "finish_reason": "because"}}),
    "answers with less": said({"answer": {}}),
    "answers with nothing known": said({"surprise": 1}),
    "answers with progress that is none": said({"progress": ["writing", 1, 2, "fast", 0.0, "x"]}),
    "answers with an error of four parts": said({"error": ["a", "b", "c", "d"]}),
    "answers with a mistake": said({"failed": "TypeError: \x1b[2J"}),
    "answers halfway": struct.pack(">I", 1000) + b"{",
    "answers with an end": b"",
    "answers never": b"",
}


def receive() -> dict:
    (length,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    return json.loads(sys.stdin.buffer.read(length))


def write(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def main(mode: str) -> None:
    if mode == "does not start":
        sys.exit(3)
    if mode == "is not ready":
        time.sleep(60)
    if mode == "has no library":
        write(said({"missing": "llama_cpp"}))
        return
    if mode == "has no code for this processor":
        write(said({"error": ["ArtifactError", "the library holds no code", "install it anew"]}))
        return
    write(said(READY))
    receive()
    if mode == "crashes at load":
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "hangs at load":
        time.sleep(60)
    if mode == "loads at an endless pace":
        write(said({"answer": {"threads": [float("inf"), 1], "chunk_tokens": 64, "steps": None}}))
        time.sleep(60)
    write(said(PACE))
    if mode == "reads nothing":
        time.sleep(60)
    receive()
    write(ANSWERS[mode])
    if mode not in ("answers halfway", "answers with an end"):
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
