"""Run folders: records, checkpoints and summaries."""
