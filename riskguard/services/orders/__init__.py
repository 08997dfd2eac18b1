"""One order from its check to its permit: guard, permits, sending, baskets, changes, copies."""
