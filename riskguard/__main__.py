"""`python -m riskguard` is the `riskguard` command."""

from riskguard.cli.main import main

if __name__ == "__main__":
    main()
