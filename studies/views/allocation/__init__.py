"""Tables and figures of `wirelessfl allocate`."""
