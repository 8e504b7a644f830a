"""The small models beside the image model: safety check, upscaler, describer, segmenter, shortener."""
