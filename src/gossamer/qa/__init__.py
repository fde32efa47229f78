"""A hospital looks at its own data: a page of pictures for each case, and what stands out in the cohort."""
