"""Tables and figures of `wirelessfl simulate`."""
