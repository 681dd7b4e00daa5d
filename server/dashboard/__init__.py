"""What an operator opens every morning: a website over the run store, from released values only."""
