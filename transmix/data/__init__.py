"""Images: the embedded scenes, other people's data sets, and the loaders that read both."""
