"""Measures the budgets of riskguard against floors of the same machine, in one run: `python -m benchmarks`."""
