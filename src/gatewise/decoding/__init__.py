"""From scores to text: drawing tokens, one after another, and searching for the best answer."""
