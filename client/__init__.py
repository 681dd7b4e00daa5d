"""What runs where the behaviour lies: profiles, the ClientApp, the local recommender."""
