"""Federated training: data, models, masks, the engine and the algorithms."""
