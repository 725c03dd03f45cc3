"""Offline, self-hosted deep-learning project generation from one sentence (method: DLCodeGen)."""

__version__ = "0.1.0"
