"""`python -m agentkit` is `agentkit`."""

from agentkit.cli.app import main

if __name__ == "__main__":
    main()
