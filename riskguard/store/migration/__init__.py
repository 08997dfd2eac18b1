"""
From a file of schema 1, 2 or 3 to one of schema 4.

The new database is built beside the old one, row by row, and takes its place in one rename at the very end:
nothing is altered in place, because almost every constraint changes and a half-altered file is nobody's.
"""
