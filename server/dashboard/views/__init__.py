"""What each page shows, as one documented value; pages, API and tests read the same."""
