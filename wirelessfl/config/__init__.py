"""Scenario files: reading, writing and overriding their fields."""
