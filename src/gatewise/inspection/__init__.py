"""What happens inside a model: traces, summaries of units, memory, and why an answer came out."""
