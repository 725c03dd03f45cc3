"""Evaluation: predictions of any system against references, in the measures of the field."""
