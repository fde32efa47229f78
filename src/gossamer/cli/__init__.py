"""The gossamer command."""
