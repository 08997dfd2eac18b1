"""The instrument master: reading it, and importing it."""
