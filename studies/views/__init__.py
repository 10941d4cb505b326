"""Tables and figures of the commands, one folder per command."""
