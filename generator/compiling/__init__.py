"""Networks on a GPU: compiled ahead of time, called in a few sizes, replayed as graphs."""
