"""Place one layer of each kind: what it needs before it, which arguments are missing, what it gives.

`LayerKinds` holds the state of a fitting; `compiler.fitting` decides which layer comes when.
"""

from dataclasses import replace

from dlcodegen_local.compiler.arguments import Bound, Expr, Symbols
from dlcodegen_local.compiler.catalog import RECURRENT, SPECS, TRANSPARENT
from dlcodegen_local.compiler.chain import Chain, Head, Item, Step
from dlcodegen_local.compiler.sizes import Shape, convolved, padded, pooled, scaled, volume

MAX_DENSE_WEIGHTS = 64_000_000
MAX_VECTOR = 2_000_000


class LayerKinds:
    """Append layers to a chain, one method for each kind of layer."""

    head_index: int | None = None

    def __init__(self, items: list[Item], chain: Chain, symbols: Symbols, head: Head | None) -> None:
        self.items = items
        self.chain = chain
        self.symbols = symbols
        self.head = head
        self.filters = 16
        self.has_base = False
        self.open_skips: list[int] = []

    @property
    def shape(self) -> Shape:
        """The current shape."""
        return self.chain.shape

    @property
    def rank(self) -> int:
        """The number of axes, batch left out."""
        return len(self.chain.shape)

    def add(self, code: str, shape: Shape, comment: str = "", merges: int | None = None) -> None:
        """Append one layer."""
        self.chain.steps.append(Step(code, shape, comment, merges))

    def adapt(self, code: str, shape: Shape, reason: str) -> None:
        """Append a layer that the plan lacks, and say why."""
        self.add(code, shape, f"added: {reason}")
        self.chain.deviations.append(f"{code.split('.')[-1].split('(')[0]} added: {reason}")

    def leave_out(self, text: str, reason: str) -> None:
        """Keep a layer as a comment only, and say why."""
        short = " ".join(text.split())[:80]
        self.add("", self.shape, f"plan: {short} ({reason})")
        self.chain.deviations.append(f"{short!r} left out: {reason}")

    def pool_all(self, reason: str) -> None:
        """Append the pooling that leaves one value a channel."""
        if self.rank > 4:
            shape = (None if None in self.shape else volume(self.shape[:-1]), self.shape[-1])
            self.adapt(f"layers.Reshape((-1, {self.shape[-1]}))", shape, reason)
        self.adapt(f"layers.GlobalAveragePooling{self.rank - 1}D()", (self.shape[-1],), reason)

    def to_vector(self, reason: str) -> None:
        """Bring the values to one vector per item."""
        if self.rank == 1:
            return
        if any(size is None for size in self.shape):
            self.pool_all(reason)
        else:
            self.adapt("layers.Flatten()", (volume(self.shape),), reason)

    # -- kinds of layers -----------------------------------------------------------------------

    def flatten_for_dense(self, index: int, bound: Bound) -> None:
        """Flatten before a dense layer unless a later layer still needs the axes."""
        if self.rank == 1 or self.head is None or self._axes_needed_later(index):
            return
        if len(self.head.shape) == 2 or (len(self.head.shape) > 2 and self._has_convolutions()):
            return
        units = bound.number("units", 128)
        if any(size is None for size in self.shape) or volume(self.shape) * units > MAX_DENSE_WEIGHTS:
            reason = "a flattened input would make the dense layer too large"
            self.pool_all(reason)
        else:
            self.to_vector("dense layers take vectors")

    def _axes_needed_later(self, index: int) -> bool:
        for item in self.items[index + 1 :]:
            wanted = SPECS[item.name].rank if item.name in SPECS else None
            if (wanted is not None and wanted > 1) or item.name in (
                "Flatten",
                "TimeDistributed",
                "Bidirectional",
            ):
                return True
        return False

    def _has_convolutions(self) -> bool:
        return any("Conv" in item.name or "Pooling" in item.name for item in self.items)

    def add_dense(self, bound: Bound) -> None:
        """Append a dense layer, with usual units where the plan gives none."""
        bare = not bound.values
        bound.require("units", 128 if not self._dense_count() else 64)
        if bare:
            bound.values["activation"] = "relu"
        self.shrink_for(bound.number("units", 1))
        self.add(bound.code(), (*self.shape[:-1], bound.number("units", 1)))

    def shrink_for(self, units: int) -> None:
        """Turn the last Flatten into a pooling where a dense layer on it would be too large."""
        if self.rank != 1 or volume(self.shape) * units <= MAX_DENSE_WEIGHTS:
            return
        steps = self.chain.steps
        index = next((i for i in reversed(range(len(steps))) if steps[i].code == "layers.Flatten()"), None)
        before = self.chain.input_shape if not index else steps[index - 1].shape
        if (
            index is None
            or not 2 <= len(before) <= 4
            or any(step.shape != self.shape for step in steps[index:])
        ):
            return
        shape: Shape = (before[-1],)
        reason = "in place of Flatten, which would make the next dense layer too large"
        steps[index] = Step(f"layers.GlobalAveragePooling{len(before) - 1}D()", shape, reason)
        steps[index + 1 :] = [replace(step, shape=shape) for step in steps[index + 1 :]]
        self.chain.deviations.append(f"GlobalAveragePooling{len(before) - 1}D {reason}")

    def _dense_count(self) -> int:
        return sum(step.code.startswith("layers.Dense(") for step in self.chain.steps)

    def add_convolution(self, bound: Bound) -> None:
        """Append a convolution; one whose kernel does not fit is padded."""
        axes = self.rank - 1
        bare = "filters" not in bound.values and "kernel_size" not in bound.values
        if "Depthwise" not in bound.name:
            self.filters = (
                min(self.filters * 2, 128) if "filters" not in bound.values else bound.number("filters", 32)
            )
            bound.require("filters", self.filters)
        bound.require("kernel_size", 3 if axes == 1 else (3,) * axes)
        if bound.name.endswith("Transpose") and bare:
            bound.values.setdefault("strides", (2,) * axes if axes > 1 else 2)
            bound.values.setdefault("padding", "same")
        elif bare and self.head is not None and len(self.head.shape) > 2:
            bound.values.setdefault("padding", "same")
        self._mend_strides(bound, axes)
        shape = convolved(bound, self.shape)
        if 0 in shape:
            bound.values["padding"] = "same"
            shape = convolved(bound, self.shape)
            self.chain.deviations.append(f"{bound.name}: padding='same', the kernel does not fit")
        if self._too_large(shape):
            bound.values.pop("strides", None)
            bound.positional = min(bound.positional, 2)
            bound.values["padding"] = "same"
            shape = convolved(bound, self.shape)
            self.chain.deviations.append(f"{bound.name}: no strides, the image would grow too large")
        self._remember_skip(shape)
        self.add(bound.code(), shape)

    def _too_large(self, shape: Shape) -> bool:
        """Say whether a growing layer goes far beyond input and output."""
        ends = [self.chain.input_shape, self.head.shape if self.head else ()]
        limit = 2 * max([64, *(size for end in ends if len(end) > 1 for size in end[:-1] if size)])
        grows = any((new or 0) > (old or 0) for new, old in zip(shape[:-1], self.shape[:-1], strict=True))
        return grows and any((size or 0) > limit for size in shape[:-1])

    def _mend_strides(self, bound: Bound, axes: int) -> None:
        """Drop dilation beside strides: Keras refuses both at once."""
        if any(s > 1 for s in bound.grid("strides", axes, 1)) and any(
            d > 1 for d in bound.grid("dilation_rate", axes, 1)
        ):
            bound.values.pop("dilation_rate")
            bound.notes.append(f"{bound.name}: dilation_rate left out beside strides")
        if "groups" in bound.values and (
            (self.shape[-1] or 1) % bound.number("groups", 1)
            or bound.number("filters", 1) % bound.number("groups", 1)
        ):
            bound.values.pop("groups")
        if bound.name.startswith(("Separable", "Depthwise")) and "strides" in bound.values:
            largest = max(bound.grid("strides", axes, 1))
            bound.values["strides"] = (largest,) * axes if axes > 1 else largest

    def add_pooling(self, bound: Bound) -> None:
        """Append a pooling; one whose window does not fit is padded."""
        if bound.name.startswith("Global"):
            keep = bound.values.get("keepdims") is True
            self.add(bound.code(), (*((1,) * (self.rank - 1) if keep else ()), self.shape[-1]))
            return
        if bound.name.startswith("Average"):  # Keras has a default for the maximum only
            bound.require("pool_size", 2 if self.rank == 2 else (2,) * (self.rank - 1))
        shape = pooled(bound, self.shape)
        if 0 in shape:
            bound.values["padding"] = "same"
            shape = pooled(bound, self.shape)
            self.chain.deviations.append(f"{bound.name}: padding='same', the window does not fit")
        self._remember_skip(shape)
        self.add(bound.code(), shape)

    def _remember_skip(self, shape: Shape) -> None:
        """Keep the last tensor before every shrinking of the image: skip connections start there."""
        shrinks = any(
            new is not None and old is not None and new < old
            for new, old in zip(shape[:-1], self.shape[:-1], strict=True)
        )
        if shrinks and self.chain.steps:
            self.open_skips.append(len(self.chain.steps) - 1)

    def add_recurrent(self, index: int, bound: Bound, wrapped: bool = False) -> None:
        """Append a recurrent layer that returns a sequence where the next layer takes one."""
        convolutional = bound.name.startswith("ConvLSTM")
        if convolutional:
            bound.require("filters", 32)
            bound.require("kernel_size", (3, 3) if self.rank == 4 else 3)
        else:
            bound.require("units", 64)
        bound.values.pop("return_state", None)
        wanted = self._sequence_needed(index)
        if bound.values.get("return_sequences") is not True and wanted:
            bound.values["return_sequences"] = True
            self.chain.deviations.append(
                f"{bound.name}: return_sequences=True, the next layer takes sequences"
            )
        sequences = bound.values.get("return_sequences") is True
        if convolutional:
            inner = convolved(bound, self.shape[1:])
            if 0 in inner:
                bound.values["padding"] = "same"
                inner = convolved(bound, self.shape[1:])
            self.add(bound.code(), (self.shape[0], *inner) if sequences else inner)
            return
        width = bound.number("units", 64) * (2 if wrapped else 1)
        code = f"layers.Bidirectional({bound.code()})" if wrapped else bound.code()
        self.add(code, (self.shape[0], width) if sequences else (width,))

    def _sequence_needed(self, index: int) -> bool:
        """Ask whether the next layer that is not transparent takes a sequence."""
        for later, item in enumerate(self.items[index + 1 :], start=index + 1):
            if item.call is None or item.name in TRANSPARENT or item.name == "Input":
                continue
            if item.name in ("TimeDistributed", "Bidirectional", "Attention", "MultiHeadAttention"):
                return True
            if later == self.head_index:
                break
            wanted = SPECS[item.name].rank if item.name in SPECS else None
            return wanted is not None and wanted > 1
        return self.head is not None and len(self.head.shape) == 2

    def add_attention(self, bound: Bound) -> None:
        """Append attention of the sequence to itself."""
        if bound.name == "MultiHeadAttention":
            bound.require("num_heads", 4)
            bound.require("key_dim", 32)
            self.add(bound.code(), self.shape, merges=-1)
        else:
            self.add(bound.code(), self.shape, merges=-2)

    def place_embedding(self, bound: Bound) -> None:
        """Append an embedding of indices; numbers are cut into bins first."""
        size = self.symbols.get("vocab_size", Expr("16", 16))
        if self.rank != 1:
            self.leave_out(bound.name, "the values are no longer indices here")
            return
        if "vocab_size" not in self.symbols:
            edges = ", ".join(str(edge / 4) for edge in range(-7, 8))
            self.adapt(
                f"layers.Discretization(bin_boundaries=[{edges}])", self.shape, "numbers become indices"
            )
        bound.values.pop("input_dim", None)
        bound.positional = 0
        bound.values = {"input_dim": size, **bound.values}
        bound.values.setdefault("output_dim", 64)
        self.add(bound.code(), (*self.shape, bound.number("output_dim", 64)))

    def place_merge(self, item: Item) -> None:
        """Join the current tensor with the nearest earlier one of the same size."""
        index = next((i for i in reversed(self.open_skips) if self._joins(item.name, i)), None)
        if index is None or self.rank < 2:
            self.leave_out(item.text, "nothing of the same size to join")
            return
        self.open_skips = [skip for skip in self.open_skips if skip < index]
        other = self.chain.steps[index].shape
        channels = self.shape[-1]
        if item.name == "Concatenate":
            channels = (channels or 0) + (other[-1] or 0)
        self.add(f"layers.{item.name}()", (*self.shape[:-1], channels), merges=index)

    def _joins(self, name: str, index: int) -> bool:
        other = self.chain.steps[index].shape
        return other[:-1] == self.shape[:-1] and (name == "Concatenate" or other[-1] == self.shape[-1])

    def add_plain(self, index: int, item: Item, bound: Bound) -> None:
        """Place a layer whose output shape follows from its arguments alone."""
        name, shape = bound.name, self.shape
        if name == "Flatten":
            self._add_flatten(index)
            return
        if name == "Reshape":
            self._add_reshape(item, bound)
            return
        if name == "Permute":
            dims = bound.values.get("dims")
            if not isinstance(dims, tuple) or sorted(dims) != list(range(1, self.rank + 1)):
                self.leave_out(item.text, "the axes do not fit")
                return
            shape = tuple(shape[axis - 1] for axis in dims)
        elif name == "RepeatVector":
            bound.require("n", 1 if self.head is None or len(self.head.shape) < 2 else self.head.shape[0])
            shape = (bound.number("n", 1), *shape)
        elif name.startswith("ZeroPadding"):
            shape = padded(bound, shape, "padding")
        elif name.startswith("Cropping"):
            cropped = padded(bound, shape, "cropping")
            if any(size is not None and size < 1 for size in cropped):
                self.leave_out(item.text, "nothing would be left")
                return
            shape = cropped
        elif name.startswith("UpSampling"):
            shape = scaled(bound, shape)
            if self._too_large(shape):
                self.leave_out(item.text, "the image would grow too large")
                return
        elif name in ("Resizing", "CenterCrop"):
            bound.require("height", shape[0])
            bound.require("width", shape[1])
            shape = (bound.number("height", 1), bound.number("width", 1), shape[-1])
        self._complete(bound)
        self.add(bound.code(), shape)

    def _complete(self, bound: Bound) -> None:
        """Fill in what Keras insists on."""
        name = bound.name
        if name in ("Dropout", "GaussianDropout", "AlphaDropout") or name.startswith("SpatialDropout"):
            bound.require("rate", 0.25)
        elif name == "GaussianNoise":
            bound.require("stddev", 0.1)
        elif name == "Activation":
            bound.require("activation", "relu")
            if bound.values["activation"] is None:
                bound.values["activation"] = "linear"
        elif name == "Rescaling":
            bound.values = {
                "scale": Expr("1.0 / 255"),
                **{k: v for k, v in bound.values.items() if k == "offset"},
            }
            bound.positional = 1
        elif name.startswith("Random") and name != "RandomFlip":
            bound.require(SPECS[name].params[0], 0.1)
            if name == "RandomTranslation":
                bound.require("width_factor", 0.1)
        elif name == "LeakyReLU" and "negative_slope" in bound.values:
            bound.positional = 1
        elif name == "GroupNormalization" and (self.shape[-1] or 1) % bound.number("groups", 32):
            bound.values["groups"] = 1
        if "axis" in bound.values and int(str(bound.values["axis"])) > self.rank:
            bound.values.pop("axis")

    def _add_flatten(self, index: int) -> None:
        units = 0
        for item in self.items[index + 1 :]:
            if item.name == "Dense" and item.call is not None:
                value = item.call.get("units", 0, 128)
                units = value if isinstance(value, int) else 128
                break
        unknown = any(size is None for size in self.shape)
        follows = next((item.name for item in self.items[index + 1 :] if item.name not in TRANSPARENT), "")
        if self.rank == 4 and follows in (*RECURRENT, "Bidirectional"):
            self.add("layers.TimeDistributed(layers.Flatten())", (self.shape[0], volume(self.shape[1:])))
            return
        weights = volume(self.shape) * max(units, MAX_DENSE_WEIGHTS // MAX_VECTOR)
        if self.rank > 1 and (unknown or weights > MAX_DENSE_WEIGHTS):
            reason = "in place of Flatten, which would make the next dense layer too large"
            self.pool_all(reason)
        else:
            self.add("layers.Flatten()", (volume(self.shape),))

    def _add_reshape(self, item: Item, bound: Bound) -> None:
        target = bound.values.get("target_shape")
        if not isinstance(target, tuple) or any(size is None for size in self.shape):
            self.leave_out(item.text, "the target is not known")
            return
        known = volume(tuple(size for size in target if size != -1))
        total = volume(self.shape)
        open_axes = target.count(-1)
        if open_axes == 1 and known and total % known == 0:
            self.add(bound.code(), tuple(total // known if size == -1 else size for size in target))
        elif open_axes == 0 and known == total:
            self.add(bound.code(), target)
        elif open_axes == 0 and self.rank == 1 and known > 0 and known * total <= MAX_DENSE_WEIGHTS:
            self.adapt(f"layers.Dense({known})", (known,), f"Reshape takes {known} values")
            self.add(bound.code(), target)
        else:
            self.leave_out(item.text, f"{total} values do not fit")
