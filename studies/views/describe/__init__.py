"""Descriptions of sections, plug-ins, presets and studies: `wirelessfl describe`, `init`."""
