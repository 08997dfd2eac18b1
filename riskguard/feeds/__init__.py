"""Market data on its way in: quotes, bars, order updates. Translation only; nothing here decides."""
