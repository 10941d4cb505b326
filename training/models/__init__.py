"""Plug-ins: one model per file, made for its data by `training.structure.build`."""
