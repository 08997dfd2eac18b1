"""Keeps the database file itself well: backups, archive files, space given back, and a look at all of it."""
