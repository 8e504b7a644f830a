"""Memory of a device: what a model needs of it, known before loading, and what makes a model fit."""
