"""Numbers -> tables, figures, checklists, the page; knows nothing of torch."""
