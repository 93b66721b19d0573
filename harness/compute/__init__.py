"""What a worker does: train, localise, measure."""
