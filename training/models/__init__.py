"""Models, one plug-in a file."""
