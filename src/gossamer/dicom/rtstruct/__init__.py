"""Structure sets: contours to masks, and masks to contours, exactly."""
