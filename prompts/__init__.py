"""The prompt language: from what a member types to image requests, and back. No I/O, no chat platform."""
