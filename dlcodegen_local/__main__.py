"""Run the command line: `python -m dlcodegen_local`."""

from dlcodegen_local.cli import main

if __name__ == "__main__":
    main()
