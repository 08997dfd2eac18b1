"""Statements that one service asks, a file for each of them."""
