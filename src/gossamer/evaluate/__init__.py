"""How well a segmentation agrees with a reference, and what follows from many of them."""
