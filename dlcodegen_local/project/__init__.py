"""Projects: one script source, written in three layouts and read back."""
