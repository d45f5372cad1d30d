"""Operations on a text: normalisation, language, values, n-grams, personal data. No engine, no files."""
