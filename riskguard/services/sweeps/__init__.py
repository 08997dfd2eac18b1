"""The scheduled half: look at the broker, judge, act; who fires it, and what is taken over into the book."""
