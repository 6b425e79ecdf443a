"""Model to frames: watch a training run and hand its steps to the journal."""
