"""Networks on a card: compiled ahead of time, called in a few sizes, replayed as graphs."""
