"""Time and energy of a round: events (SimPy), closed form, and many rounds at once."""
