"""The run store: finished trainings and scorings as files addressed by what determines them; no torch."""
