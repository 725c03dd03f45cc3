"""Start the tool that this file is named after, with the code beside it: `verify.py` and `install.py`.

A bundle holds it under both names. It takes the bundle's own code, whatever is installed, and leaves no file.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))
    from dlcodegen_local.bundle.commands import run

    sys.exit(run(Path(__file__).stem, sys.argv[1:]))
