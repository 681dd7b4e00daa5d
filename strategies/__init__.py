"""Federated K-means: questions, messages, phases, and the Flower Strategy."""
