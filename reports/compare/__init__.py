"""Two folders of runs, or a user's own models, side by side."""
