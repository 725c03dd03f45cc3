"""Plans: schema, categories, reading and extraction."""
