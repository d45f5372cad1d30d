"""Documents: the text of PDF and DOCX files."""
