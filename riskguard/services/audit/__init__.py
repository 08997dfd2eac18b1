"""Tamper evidence: is the journal true with all that hangs on it, and does it hold what was kept of it elsewhere."""
