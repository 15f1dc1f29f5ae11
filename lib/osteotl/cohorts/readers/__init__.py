"""One file per layout in which films and annotations are distributed."""
