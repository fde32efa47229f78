"""Studies: the arms, their runs, their results and the report."""
