"""Runs that were made: recorded stage by stage, gone on with, shown, compared, purged. See `README.md`."""

from dlcodegen_local.runs.record import RunRecord

__all__ = ["RunRecord"]
