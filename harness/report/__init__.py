"""Tables, figures and pages of a study from the run store; no torch, no mlflow."""
