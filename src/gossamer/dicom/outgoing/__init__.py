"""What leaves: structure sets and segmentations, with what they refer to and what made them."""
