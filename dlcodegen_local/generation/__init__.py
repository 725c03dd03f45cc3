"""The code model: prompts, the four generation stages, sections, merge and repair."""
