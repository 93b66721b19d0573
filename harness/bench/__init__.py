"""``python -m harness.bench``: where the time and the memory go, part by part and beside plain references."""
