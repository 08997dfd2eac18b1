"""What the broker tells without being asked, and its lists besides the book: into the database, once."""
