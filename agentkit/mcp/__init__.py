"""MCP servers as tools: `ak.MCP` starts or reaches a server and makes a tool of each of its tools.

Protocol and transports are the `mcp` package's (extra `mcp`); what is here keeps a session alive, says what became of a
call, and shows the server's tools to the core as it shows functions.
"""
