"""A kill rehearsed: the account's own book at a broker on this machine, through the real adapter, and nothing left of it."""
