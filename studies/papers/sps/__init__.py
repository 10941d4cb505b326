"""Tables and figures of [SPS]."""
