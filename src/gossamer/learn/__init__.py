"""From cases to parameters: sampling, augmentation, loss and the trainer."""
