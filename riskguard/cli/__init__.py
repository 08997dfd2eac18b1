"""The `riskguard` command."""
