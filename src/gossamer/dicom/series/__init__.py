"""CT series: which images make up a stack, and its voxels in HU."""
