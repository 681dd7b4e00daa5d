"""A region's processes: only code that its operator has approved runs here."""
