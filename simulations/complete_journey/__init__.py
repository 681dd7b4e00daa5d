"""The bundled extract of Complete Journey, and how it was made."""
