"""What the paper claims, judged on records: statistics, evidence, verdicts."""
