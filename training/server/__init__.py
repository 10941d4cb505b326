"""Training with a server and one global model."""
