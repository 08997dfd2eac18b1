"""Services orchestrate and decide nothing: guard, kill switch, sweeper, settings, wiring."""
