"""Reads and writes of Discord: messages posted, edited, deleted, and their files."""
