"""Inspection: what a folder or a file of weights is, told by names and headers before anything is loaded."""
