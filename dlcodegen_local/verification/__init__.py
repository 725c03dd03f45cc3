"""Verification: static checks, plan compliance, smoke run in a sandbox."""
