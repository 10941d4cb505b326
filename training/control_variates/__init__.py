"""Training with control variates: method, local steps, trainer and state."""
