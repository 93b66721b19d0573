#!/usr/bin/env bash
# A study as a Slurm array: examples/slurm.sh studies/table2.yaml --output /shared/mlruns
#
# Takes what harness.run takes. The folder of results must be seen by all machines (NFS, Lustre, CephFS). Each task of
# the array is a driver with one run slot: it takes a run that no other task has (a lock per training in that folder),
# until none is left. When Slurm kills a task, another takes its run over; a last job does what is still missing then,
# and writes the report. Submit again to go on: finished runs are kept.
#
# MOST=64 limits the tasks. sbatch reads more from its environment: SBATCH_PARTITION, SBATCH_GRES=gpu:1, SBATCH_TIMELIMIT.
set -euo pipefail
python=${PYTHON:-python}

jobs=$("$python" -m harness.run "$@" --executor print | wc -l)
if [ "$jobs" -eq 0 ]; then
    exec "$python" -m harness.run "$@"
fi
tasks=$((jobs < ${MOST:-64} ? jobs : ${MOST:-64}))
printf -v command '%q ' "$python" -m harness.run "$@"

array=$(sbatch --parsable --job-name=case --array="1-$tasks" --cpus-per-task=1 --mem=4G --requeue \
    --wrap="$command --jobs 1 --no-mlflow")
sbatch --parsable --job-name=case-report --dependency="afterany:$array" --cpus-per-task=2 --mem=8G --wrap="$command"
echo "$jobs runs in $tasks tasks, job $array; then the report"
