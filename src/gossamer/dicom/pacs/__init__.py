"""A hospital's image archive (PACS): found, fetched, stored; ``base`` is the seam."""
