"""Broker adapters: translation and classification only."""
