"""What can be done to a text: normalisation, language, values, n-grams, personal data. No engine, no files."""
