"""How robust a model is to what is done to images, and to images chosen to mislead. See README.md in this folder."""
