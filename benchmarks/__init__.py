"""What Gossamer costs beside its floor: what cannot be done without, measured in the same run.

Run: python -m benchmarks [--quick] [--json FILE]
"""
