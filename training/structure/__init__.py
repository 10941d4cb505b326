"""The structure of any model: flat vector, channel groups, sub-models and costs."""
