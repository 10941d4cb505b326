"""Tables and figures of `wirelessfl channel`."""
