"""Tables and figures of `wirelessfl data`."""
