"""A team's own code made into samples: one file's bytes in, what may be taken of it out."""
