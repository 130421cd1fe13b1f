"""A table before it has a format, and the formats: Markdown, LaTeX, CSV, the terminal."""
