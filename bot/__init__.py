"""The Discord process: commands, buttons, and the way of a picture to its member. Never torch."""
