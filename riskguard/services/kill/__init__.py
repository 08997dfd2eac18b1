"""The kill switch: the latch, the switch, and the run that follows it."""
