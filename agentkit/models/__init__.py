"""Adapters to models: one that runs in this process, and one to every provider that litellm knows."""
