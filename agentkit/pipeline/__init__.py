"""Pipelines: from the functions that a user wrote as steps to a definition that can run, checked before it does."""

from agentkit.pipeline.pipeline import Pipeline

__all__ = ["Pipeline"]
