"""A language model in this process: GGUF weights, llama.cpp through xllamacpp, every answer held to a grammar."""
