"""OpenAI's chat, legacy completions, embeddings and models."""
