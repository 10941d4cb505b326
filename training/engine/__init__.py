"""Local training as data (a program) and its interpreter."""
