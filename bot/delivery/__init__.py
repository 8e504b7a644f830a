"""Delivery of finished jobs, and their progress messages: one worker, one attempt at a time for each job."""
