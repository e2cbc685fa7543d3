"""Training of the networks, on one or several processes."""
