"""Floor 1: values, protocols, radio physics, the discrete-event cell and the round loop."""
