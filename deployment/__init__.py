"""What keeps a deployment running for months: the server's host and each region's agent."""
