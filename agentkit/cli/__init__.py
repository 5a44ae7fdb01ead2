"""The command line: `agentkit …`."""
