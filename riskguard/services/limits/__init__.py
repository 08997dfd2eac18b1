"""Rulebooks and the limits they make: apply, schema, table, suggestions, how near they came."""
