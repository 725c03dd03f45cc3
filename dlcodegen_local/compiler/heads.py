"""Place the network's last layer: the planned one as the task needs it, or a new one."""

from dataclasses import replace

from dlcodegen_local.compiler.arguments import Bound, Expr, bind
from dlcodegen_local.compiler.catalog import ACTIVATION_LAYERS, HIDDEN_ACTIVATIONS, SPECS
from dlcodegen_local.compiler.chain import Item
from dlcodegen_local.compiler.kinds import MAX_DENSE_WEIGHTS, LayerKinds
from dlcodegen_local.compiler.sizes import Shape, convolved, volume
from dlcodegen_local.plan.layers import LayerCall

HIDDEN_UNITS = 16


class HeadKinds(LayerKinds):
    """Append the layers at the end of a chain."""

    def _reach_rank(self, wanted: int, item: Item) -> bool:
        """Bring the shape to the rank that a layer takes; `fitting.Fitter` says how."""
        raise NotImplementedError

    def _find_head(self) -> int | None:
        """Return the index of the planned layer that becomes the last one, None where none can."""
        if self.head is None:
            return None
        spatial = len(self.head.shape) > 2
        for index in range(len(self.items) - 1, -1, -1):
            item = self.items[index]
            if item.name in ACTIVATION_LAYERS or item.call is None or item.name == "Reshape":
                continue
            if spatial:
                return index if self._ends_image(item) else None
            if item.name == "TimeDistributed" and len(self.head.shape) == 2 and item.call.args:
                inner = item.call.args[0]
                return index if isinstance(inner, LayerCall) and inner.name == "Dense" else None
            return index if item.name == "Dense" and not self._is_hidden(item.call) else None
        return None

    def _is_hidden(self, call: LayerCall) -> bool:
        """Say whether a planned last dense layer is an inner one: by its units and its activation."""
        assert self.head is not None
        units, activation = call.get("units", 0), call.get("activation", 1)
        inner = activation in HIDDEN_ACTIVATIONS and (isinstance(units, int) and units != self.head.shape[-1])
        return inner and isinstance(units, int) and units >= HIDDEN_UNITS

    def _ends_image(self, item: Item) -> bool:
        """Say whether a convolution can be the output layer: one with filters, or called output."""
        if not item.name.startswith("Conv") or "LSTM" in item.name or item.call is None:
            return False
        stated = item.call.get("filters", 0) is not None
        return stated or any(word in item.text.lower() for word in ("output", "final", "last"))

    def _place_head(self, index: int, item: Item) -> None:
        """Build the planned last layer with the units and activation that the task needs."""
        head, call = self.head, item.call
        assert head is not None and call is not None
        if len(head.shape) > 2:
            self._place_spatial_head(index, item)
            return
        inner = call.args[0] if call.name == "TimeDistributed" else call
        assert isinstance(inner, LayerCall)
        bound = bind(inner, self.symbols)
        self._vector_for_head()
        self._finish_dense(bound, self._later_activation(index))

    def _later_activation(self, index: int) -> bool:
        return any(item.name in ACTIVATION_LAYERS for item in self.items[index + 1 :])

    def _finish_dense(self, bound: Bound, activation_follows: bool) -> None:
        head = self.head
        assert head is not None
        planned = bound.values.get("units")
        size = head.shape[-1]
        if isinstance(planned, int) and planned != size:
            self.chain.deviations.append(
                f"last layer: {size} units instead of {planned}, as the output needs"
            )
        if planned is None:
            bound.require("units", Expr(head.units, size))
        else:
            bound.values["units"] = Expr(head.units, size)
        if activation_follows:
            bound.values.pop("activation", None)
        else:
            self._set_activation(bound)
        self.shrink_for(size)
        self.add(bound.code(), (*self.shape[:-1], size))

    def _set_activation(self, bound: Bound) -> None:
        head = self.head
        assert head is not None
        planned = bound.values.get("activation")
        if planned in head.accepts or (planned or "linear") == (head.activation or "linear"):
            return
        if planned is not None:
            wanted = head.activation or "linear"
            self.chain.deviations.append(
                f"last layer: activation {wanted} instead of {planned}, as the loss needs"
            )
        bound.values.pop("activation", None)
        if head.activation:
            bound.values["activation"] = head.activation

    def _vector_for_head(self) -> None:
        """Bring the values to the rank of the output before the last dense layer."""
        head = self.head
        assert head is not None
        wanted = len(head.shape)
        if self.rank == wanted:
            self._cut_sequence(head.shape)
            return
        if wanted == 1:
            if volume(self.shape) * head.shape[-1] > MAX_DENSE_WEIGHTS or None in self.shape:
                self.pool_all("one vector per item")
            else:
                self.to_vector("the output is one vector per item")
            return
        if self.rank == 1:
            self.adapt(
                f"layers.RepeatVector({head.shape[0]})",
                (head.shape[0], *self.shape),
                "the output is a sequence",
            )
        else:
            width = volume(self.shape[1:])
            self.adapt(f"layers.Reshape((-1, {width}))", (self.shape[0], width), "the output is a sequence")
            self._cut_sequence(head.shape)

    def _cut_sequence(self, wanted: tuple[int, ...]) -> None:
        """Bring a sequence to the output's length (0: any): keep its last steps, or repeat its mean."""
        length = self.shape[0]
        if len(wanted) != 2 or length is None or wanted[0] in (0, length):
            return
        reason = f"the output has {wanted[0]} steps"
        if length > wanted[0]:
            code = f"layers.Cropping1D(({length - wanted[0]}, 0))"
            self.adapt(code, (wanted[0], self.shape[-1]), reason)
        else:
            self.adapt("layers.GlobalAveragePooling1D()", (self.shape[-1],), reason)
            self.adapt(f"layers.RepeatVector({wanted[0]})", (wanted[0], self.shape[-1]), reason)

    def _place_spatial_head(self, index: int, item: Item) -> None:
        head, call = self.head, item.call
        assert head is not None and call is not None
        axes = len(head.shape) - 1
        if SPECS[call.name].rank != axes + 1:
            name = f"Conv{axes}DTranspose" if call.name.endswith("Transpose") else f"Conv{axes}D"
            call = replace(call, name=name)
            self.chain.deviations.append(f"{item.name} built as {name}: the output has {axes} axes")
        bound = bind(call, self.symbols)
        if self.rank != len(head.shape) and not self._reach_rank(len(head.shape), item):
            self._append_head()
            return
        strided = any(stride > 1 for stride in bound.grid("strides", axes, 1))
        planned = bound.values.get("filters")
        size = head.shape[-1]
        if planned is not None and planned != size:
            self.chain.deviations.append(
                f"last layer: {size} filters instead of {planned}, as the output needs"
            )
        bound.require("filters", Expr(head.units, size))
        bound.values["filters"] = Expr(head.units, size)
        bound.require("kernel_size", 1)
        if self._later_activation(index):
            bound.values.pop("activation", None)
        else:
            self._set_activation(bound)
        if not strided and any(kernel > 1 for kernel in bound.grid("kernel_size", axes, 1)):
            bound.values["padding"] = "same"
        self._reach_size(bound if strided else None, head.shape)
        self.add(bound.code(), convolved(bound, self.shape))
        if self.shape != head.shape:
            self._resize(head.shape)

    def _reach_size(self, strided: Bound | None, wanted: tuple[int, ...]) -> None:
        """Bring the image to the output's size before the last layer."""
        if strided is None and self.shape[:-1] != wanted[:-1]:
            self._resize((*wanted[:-1], self.shape[-1]))

    def _resize(self, wanted: Shape) -> None:
        height, width = wanted[0], wanted[1]
        if len(wanted) == 3 and self.rank == 3 and height and width and self.shape[0] and self.shape[1]:
            factors = height / self.shape[0], width / self.shape[1]
            if factors[0] == factors[1] and factors[0].is_integer() and factors[0] > 1:
                code = f'layers.UpSampling2D({int(factors[0])}, interpolation="bilinear")'
            else:
                code = f"layers.Resizing({height}, {width})"
            self.adapt(code, (height, width, self.shape[-1]), "the output has the size of the input")

    def _append_head(self) -> None:
        """Add the last layer that the plan lacks."""
        head = self.head
        assert head is not None
        if len(head.shape) > 2:
            self._image_for_head()
            if self.shape[:-1] != head.shape[:-1]:
                self._resize((*head.shape[:-1], self.shape[-1]))
            code = f"layers.Conv2D({head.units}, 1" + (
                f', activation="{head.activation}")' if head.activation else ")"
            )
        else:
            self._vector_for_head()
            code = f"layers.Dense({head.units}" + (
                f', activation="{head.activation}")' if head.activation else ")"
            )
        self.adapt(code, (*self.shape[:-1], head.shape[-1]), "the output layer")

    def _image_for_head(self) -> None:
        """Turn a vector into an image: at once where that is small, else a coarse one that grows."""
        if self.rank == 3:
            return
        self.to_vector("the output is an image")
        assert self.head is not None
        target = self.head.shape
        if volume(target) * volume(self.shape) > MAX_DENSE_WEIGHTS:
            target = (max(1, target[0] // 16), max(1, target[1] // 16), 16)
        size = volume(target)
        self.shrink_for(size)
        if self.shape != (size,):
            self.adapt(f'layers.Dense({size}, activation="relu")', (size,), "the output is an image")
        self.adapt(f"layers.Reshape({target})", target, "the output is an image")

    def _place_after_head(self, item: Item) -> None:
        """Place the activation that a plan writes as a layer of its own; the rest stays a comment."""
        head = self.head
        assert head is not None and item.call is not None
        done = any("_head_" in step.comment for step in self.chain.steps)
        if item.name not in ACTIVATION_LAYERS or done or self.rank != len(head.shape):
            self.leave_out(item.text, "it follows the output layer")
            return
        value = item.call.get("activation", 0, "softmax" if item.name == "Softmax" else "relu")
        wanted = head.activation or "linear"
        if value == wanted or value in head.accepts:
            wanted = str(value)
        else:
            self.chain.deviations.append(f"last activation: {wanted} instead of {value}, as the loss needs")
        self.add(f'layers.Activation("{wanted}")', self.shape)
