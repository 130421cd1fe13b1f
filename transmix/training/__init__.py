"""The trainer: a loop that can be killed anywhere, its optimiser, its processes, its files."""
