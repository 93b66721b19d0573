"""Who runs the jobs: a pool of local processes, Ray, or a list on paper."""
