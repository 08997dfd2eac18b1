"""
Secrets at rest: how a value is sealed (`envelope`), where keys come from (`keys`), which columns hold secrets (`fields`).

Opening needs the `secrets` extra; nothing here imports it before it is used.
"""
