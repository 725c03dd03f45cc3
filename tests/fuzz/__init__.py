"""Bad input, counted: valid files, damaged by a seed, and what the tool answers to them."""
