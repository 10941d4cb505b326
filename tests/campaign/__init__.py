"""Campaigns against the command line: fuzzed input, and faults of processes, disks and files."""
