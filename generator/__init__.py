"""The GPU process: claims jobs, draws them, checks them, saves them. Never discord."""
