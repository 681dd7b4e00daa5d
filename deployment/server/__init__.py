"""The server's host: settings, certificates, nginx, SuperLink."""
