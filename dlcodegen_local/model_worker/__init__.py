"""The code model in a process of its own, which can do nothing but compute and answer."""
