"""Studies of the papers, one plug-in a file; the command line and the reports."""
