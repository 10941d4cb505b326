"""Tables and figures of [MCE-PL]."""
