"""The page: template, summary, explorer, gallery, documents, safety."""
