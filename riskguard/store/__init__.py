"""The database: tables by area, views, engines and repositories. Nothing here decides anything."""
