"""How a region's agent becomes known to a server: a token, a request, and a person who approves."""
