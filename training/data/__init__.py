"""Data sets, one plug-in a file, and their partition over clients."""
