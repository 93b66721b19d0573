"""What people do with data sets beside training on them; nothing here determines a run's numbers."""
