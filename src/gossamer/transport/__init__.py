"""How frames travel between sites."""
