"""The keys and values of all slots, in memory that the model writes to in place.

Memory is taken from the system page by page as slots are first written: room that is not used
costs nothing. Nothing is moved but where dead slots are dropped or the room has to grow.
"""

import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcodegen_local.errors import PlanningError

Buffer = npt.NDArray[np.float32]

FIRST_CAPACITY = 1024


class KeyValueCache:
    """Hold two buffers a layer, `(1, n_head, capacity, head_size)` each: keys, then values.

    Raises:
        PlanningError: the system gives no memory.
    """

    def __init__(self, n_layer: int, n_head: int, head_size: int) -> None:
        self._heads, self._head_size = n_head, head_size
        self._count = 2 * n_layer
        self.capacity = FIRST_CAPACITY
        self.buffers = self._allocate()

    def reserve(self, slots: int, used: int) -> bool:
        """Make room for `slots`, keeping the first `used`; return whether the buffers are new ones."""
        if slots <= self.capacity:
            return False
        while self.capacity < slots:
            self.capacity *= 2
        old, self.buffers = self.buffers, self._allocate()
        for source, target in zip(old, self.buffers, strict=True):
            target[:, :, :used] = source[:, :, :used]
        return True

    def keep(self, living: npt.NDArray[np.int64]) -> None:
        """Move the slots `living`, in order, to the front; what lies behind them is free."""
        moved = np.flatnonzero(living != np.arange(len(living)))
        if not len(moved):
            return
        first = int(moved[0])
        for buffer in self.buffers:
            buffer[:, :, first : len(living)] = buffer[:, :, living[first:]]

    def _allocate(self) -> list[Buffer]:
        shape = (self._count, 1, self._heads, self.capacity, self._head_size)
        # Not numpy's own memory: that asks for huge pages, which are resident as a whole.
        size = 4 * math.prod(shape)
        try:
            memory: Any = mmap.mmap(-1, size)
        except (OSError, OverflowError, ValueError) as exc:
            raise PlanningError(
                f"no {size / 1e6:.0f} MB of memory for the planner's cache", hint="close other programs"
            ) from exc
        return list(np.frombuffer(memory, dtype=np.float32).reshape(shape))
