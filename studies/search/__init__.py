"""Random search over the fields of an experiment."""
