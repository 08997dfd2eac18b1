"""Live prices from Dhan: a binary stream, a slower way when it is down, and one memory both write to."""
