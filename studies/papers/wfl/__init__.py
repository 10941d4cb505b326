"""Tables and figures of [WFL]."""
