"""From a CT to masks: sliding-window prediction and the model file."""
