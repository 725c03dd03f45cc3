"""The weights of an exported decoder: one file of tensors, written in order and mapped to be read.

A file of any size is written and read tensor by tensor; none is ever in memory as a whole.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcodegen_local.planner.model import MODEL_FILE, WEIGHTS_FILE

Array = npt.NDArray[Any]
_ALIGNMENT = 64


class WeightsWriter:
    """Write tensors to `WEIGHTS_FILE` of a folder; `tensors` are the ONNX initializers that name them."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / WEIGHTS_FILE).open("wb")
        self.tensors: list[Any] = []

    def add(self, name: str, array: Array) -> str:
        """Append one tensor; return its name."""
        from onnx import TensorProto, helper

        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        tensor = TensorProto(
            name=name,
            dims=array.shape,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            data_location=TensorProto.EXTERNAL,
        )
        places = {"location": WEIGHTS_FILE, "offset": self._file.tell(), "length": array.nbytes}
        for key, value in places.items():
            tensor.external_data.add(key=key, value=str(value))
        self._file.write(np.ascontiguousarray(array).data)
        self.tensors.append(tensor)
        return name

    def close(self) -> None:
        """Write what is still buffered to the disk itself."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class CheckpointWeights(Mapping[str, Array]):
    """Read a checkpoint of `transformers` tensor by tensor, under GPT2LMHeadModel's names."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        path = folder / "model.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: save the checkpoint as one safetensors file")
        self._file: Any = safe_open(path, framework="numpy")
        names: list[str] = self._file.keys()
        self._names = {name.removeprefix("transformer."): name for name in names}

    def __getitem__(self, name: str) -> Array:
        array: Array = self._file.get_tensor(self._names[name])
        return array.astype(np.float32, copy=False)

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class ExportedWeights(Mapping[str, Array]):
    """Map the weights of an exported fp32 decoder."""

    def __init__(self, folder: Path) -> None:
        import onnx

        self._path = folder / WEIGHTS_FILE
        graph = onnx.load(folder / MODEL_FILE, load_external_data=False).graph
        self._tensors = {tensor.name: tensor for tensor in graph.initializer if tensor.external_data}

    def __getitem__(self, name: str) -> Array:
        from onnx import helper

        tensor = self._tensors[name]
        offset = next(int(entry.value) for entry in tensor.external_data if entry.key == "offset")
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        return np.memmap(self._path, dtype=dtype, mode="r", offset=offset, shape=tuple(tensor.dims))

    def __iter__(self) -> Any:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
