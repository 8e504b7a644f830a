"""One file a model family: how it reads a prompt, predicts noise and makes pictures of latents."""
