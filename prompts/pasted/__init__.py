"""Prompts as people paste them: from copied messages and other programs' parameters to one strict line."""
