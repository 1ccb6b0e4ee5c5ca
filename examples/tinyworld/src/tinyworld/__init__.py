"""A small made-up world in English, French and Spanish, and the models and data built from it."""

LANGUAGES = ("en", "fr", "es")
