"""Tables and figures of `wirelessfl whatif`."""
