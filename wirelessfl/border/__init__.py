"""Checks where foreign input, plug-ins and the user reach the program."""
