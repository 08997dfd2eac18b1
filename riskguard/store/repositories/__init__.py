"""Repositories: one per area, each over the tables of that area. `Database` hands them out."""
