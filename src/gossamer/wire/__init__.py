"""What sites say to each other, as bytes; never code, and never more memory than allowed."""
