"""Tables, figures and the running of many experiments."""
