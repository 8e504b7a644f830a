"""The continuous-batching image engine: one model on one device, drawn from by many jobs at once."""

from generator.engine.engine import Engine

__all__ = ["Engine"]
