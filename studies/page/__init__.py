"""The page in the browser: what-if analysis of one round, and run folders."""
