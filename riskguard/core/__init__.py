"""
The pure heart: values in, values out.

Nothing here reads a file, a clock, a socket or a database, logs, or uses float. Money is an integer of
1/10000 rupee (`_e4`), time an integer of microseconds UTC (`_us`), quantity the broker's own unit.
"""
