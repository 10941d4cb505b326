"""Scenario files shipped with the toolkit."""
