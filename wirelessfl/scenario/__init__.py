"""The parts of a scenario: cell, link, processor and medium."""
