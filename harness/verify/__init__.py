"""Training finished runs again, and comparing."""
