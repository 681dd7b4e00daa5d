"""The clustering against published systems, on one harness."""
