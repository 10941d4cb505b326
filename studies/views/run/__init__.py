"""Tables and figures of `wirelessfl run`."""
