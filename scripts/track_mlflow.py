#!/usr/bin/env python3
"""Put trained runs into MLflow, which keeps them in one file and needs no server (pip install mlflow):

    repro runs export --format jsonl > epochs.jsonl
    scripts/track_mlflow.py epochs.jsonl      # mlflow.db; `mlflow ui --backend-store-uri sqlite:///mlflow.db` shows it

A run that MLflow has under its name is left as it is.
"""
import json
import sys
from itertools import groupby

import mlflow

if len(sys.argv) != 2:
    sys.exit(__doc__)
METRICS = ("learning_rate", "loss", "accuracy_exit_", "seconds", "images_per_second")

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("repro")
with open(sys.argv[1], encoding="utf-8") as lines:
    rows = [json.loads(line) for line in lines]
for name, epochs in groupby(rows, key=lambda row: row["run"]):
    if mlflow.search_runs(filter_string=f"tags.mlflow.runName = '{name}'", output_format="list"):
        continue
    with mlflow.start_run(run_name=name):
        for row in epochs:
            step = row.pop("epoch", 0)
            mlflow.log_metrics({key: row.pop(key) for key in list(row) if key.startswith(METRICS)}, step=step)
            if step <= 1:
                mlflow.log_params({key: str(value)[:6000] for key, value in row.items()})
