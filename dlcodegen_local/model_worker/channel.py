"""The command's end of the model's process: start it, talk to it, end it.

Guarantees that nothing the process sends or does raises anything but `ChannelEnded`, that no wait is
without an end, and that the process does not outlive its channel.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dlcodegen_local.model_worker.frames import FrameReader, encode

_READ_BYTES = 65_536
_EXIT_S = 2.0


class ChannelEnded(Exception):
    """Say how the process ended, or why it had to be ended."""


class Channel:
    """One process, and the two pipes to it.

    `inherited` is an open descriptor that it gets too, its number the first argument.

    Raises:
        ChannelEnded: it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: int, memory_bytes: int
    ) -> None:
        try:
            self._child = subprocess.Popen(
                [*command, str(inherited), str(memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=dict(environment),
                pass_fds=(inherited,),
                start_new_session=True,  # Ctrl-C is the parent's alone
            )
        except OSError as exc:
            raise ChannelEnded(f"it cannot be started: {exc.strerror}") from exc
        assert self._child.stdin is not None and self._child.stdout is not None
        self._requests, self._answers = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._requests, False)
        os.set_blocking(self._answers, False)
        self._frames = FrameReader()

    def send(self, message: Mapping[str, Any], timeout_s: float) -> None:
        """Send a request.

        Raises:
            ChannelEnded: the process is gone, or does not read.
        """
        left = memoryview(encode(message))
        deadline = time.monotonic() + timeout_s
        while left:
            self._wait(self._requests, select.POLLOUT, deadline, timeout_s)
            try:
                left = left[os.write(self._requests, left) :]
            except BlockingIOError:
                continue
            except OSError as exc:
                raise self._ended() from exc

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Return the next message.

        Raises:
            ChannelEnded: the process is gone, sends what is no message, or nothing for `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                message = self._frames.next_message()
            except ValueError as exc:
                raise self.broken() from exc
            if message is not None:
                return message
            self._wait(self._answers, select.POLLIN, deadline, timeout_s)
            try:
                piece = os.read(self._answers, _READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise self._ended() from exc
            if not piece:
                raise self._ended()
            self._frames.feed(piece)

    def broken(self) -> ChannelEnded:
        """End the process for what it sent, and return the error that says so."""
        self.close()
        return ChannelEnded("it sent what is no answer")

    def close(self) -> None:
        """Kill the process and close the pipes; a second call does nothing."""
        with contextlib.suppress(OSError):
            self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()

    def _wait(self, descriptor: int, event: int, deadline: float, timeout_s: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            self.close()
            raise ChannelEnded(f"it did nothing for {timeout_s:.0f} s")

    def _ended(self) -> ChannelEnded:
        """Return the error for a process that closed its pipes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_EXIT_S)
        code = self._child.poll()
        self.close()
        if code is None:
            return ChannelEnded("it closed its pipes")
        if code >= 0:
            return ChannelEnded(f"exit code {code}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return ChannelEnded(f"{name}, perhaps for lack of memory" if -code == signal.SIGKILL else name)
