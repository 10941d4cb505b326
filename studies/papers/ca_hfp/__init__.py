"""Tables and figures of [CA-HFP]."""
