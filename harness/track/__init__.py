"""Run store -> MLflow, for people to browse; the only importer of mlflow."""
