"""
Doors for programs that exist already: the user's own `dhanhq` client guarded, hooks round any `place(order)`, and
orders read from other libraries' words. They check, send and report through the guard, and decide nothing.
"""
