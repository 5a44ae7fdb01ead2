"""Which provider a model's name means, in the words of the semantic conventions."""

_PREFIXES = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "perplexity": "perplexity",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_BARE = {
    "gpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude": "anthropic",
    "gemini": "gcp.gemini",
}


def provider_and_model(name: str) -> tuple[str, str]:
    """A model's name as agentkit records it, taken apart.

    Args:
        name: for example "openai/gpt-5-mini", "claude-haiku-4-5" or "local/qwen3-0.6b".

    Returns:
        The provider, "other" where the name does not tell it, and the model as the provider calls it.

    Example:
        >>> provider_and_model("openai/gpt-5-mini"), provider_and_model("local/qwen3-0.6b")
        (('openai', 'gpt-5-mini'), ('local', 'qwen3-0.6b'))
    """
    prefix, slash, rest = name.partition("/")
    if slash:
        return _PREFIXES.get(prefix, prefix), rest
    return next((provider for start, provider in _BARE.items() if name.startswith(start)), "other"), name
