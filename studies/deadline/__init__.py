"""Best deadline of a scenario: by a model of the rounds needed, and by training."""
