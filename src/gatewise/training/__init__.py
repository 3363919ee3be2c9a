"""Training: settings, the loop, evaluation, the run directory."""
