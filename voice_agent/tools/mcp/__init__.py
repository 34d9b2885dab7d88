"""Tools of MCP servers, by the official `mcp` package: processes spoken to by stdio, and streamable HTTP."""
