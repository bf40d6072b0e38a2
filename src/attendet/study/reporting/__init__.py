"""Records of a study → tables, figures, and reports."""
