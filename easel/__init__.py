"""The way in: the `easel` command. The only place that may import both bot and generator."""

__version__ = "0.1.0"
