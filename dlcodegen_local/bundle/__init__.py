"""Bundles: everything for a machine that has nothing, in one folder or archive; NOTES.md says why."""
