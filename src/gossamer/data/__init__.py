"""Medical facts: images with their frame, structures, label space, cases, fingerprint and plan."""
