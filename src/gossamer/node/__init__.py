"""A site as a state machine: events in, actions out, nothing else."""
