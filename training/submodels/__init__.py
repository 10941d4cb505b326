"""Training with a server and compact sub-models: filter scores, ratios and reconstruction."""
