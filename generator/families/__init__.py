"""Model families, a file each (`sd.py`, `sdxl.py`), and the parts that they share.

A family reads prompts, predicts noise and makes pictures of latents. The other files find and load its
weights, change copies of its networks (LoRAs, adapters, controls, tiling), and name the parts to compile.
"""
