"""The pages: routes for people (HTML) and, beneath them, for programs (JSON, CSV)."""
