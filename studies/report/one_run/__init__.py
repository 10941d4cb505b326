"""One run: frames, overview, fairness and figure."""
