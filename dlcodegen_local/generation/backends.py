"""Let llama.cpp load its code for this processor, where it was built as one library an instruction set.

Guarantees that libraries are taken from the package's own folder: left alone, llama.cpp looks for them
beside the interpreter and in the working folder, where anybody may have put some.
"""

import ctypes
import functools
from pathlib import Path

from dlcodegen_local.errors import ArtifactError


@functools.cache
def load_backends(folder: Path) -> None:
    """Load the best of the libraries in `folder`; do nothing where the code is built in.

    Call it before anything else is asked of llama.cpp.

    Raises:
        ArtifactError: none of them runs on this processor.
    """
    if not any(folder.glob("libggml-cpu-*.so")):
        return
    library = ctypes.CDLL(str(folder / "libggml.so"))
    library.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    library.ggml_backend_load_all_from_path.restype = None
    library.ggml_backend_reg_count.restype = ctypes.c_size_t
    library.ggml_backend_load_all_from_path(str(folder).encode())
    if not library.ggml_backend_reg_count():
        raise ArtifactError(
            f"{folder} holds no code for this processor", hint="install llama-cpp-python anew"
        )
