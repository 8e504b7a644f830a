"""Prompts as people paste them."""
