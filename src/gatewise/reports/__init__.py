"""One self-contained page of pictures and numbers for a run; trains nothing, runs no model."""
