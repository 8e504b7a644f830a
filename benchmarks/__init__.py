"""Every figure in docs/performance.md is one command here."""
