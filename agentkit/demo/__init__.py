"""The main job: an audit of the licences of installed packages. `agentkit demo` runs it."""
