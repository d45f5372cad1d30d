"""What surrounds the training loop: engine, checkpoints, progress, memory."""
