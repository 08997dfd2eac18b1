"""The trading calendar as people see it: shown, checked, and brought up to date by their own file."""
