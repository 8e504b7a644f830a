"""Picturebook: the small latent diffusion model that ships with Easel."""
