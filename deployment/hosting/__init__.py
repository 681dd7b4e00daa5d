"""Processes, ports and secret files on one host: shared by servers and agents, knowing neither."""
