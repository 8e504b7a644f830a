"""The worker process: claims jobs, draws them through the engine, stores images. Loads no torch by itself."""
