#!/bin/bash
#SBATCH --job-name=repro
#SBATCH --array={indices}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@{notice}
#SBATCH --cpus-per-task={cpus}
#SBATCH {output}
{options}
# USR1 comes before the time limit, TERM when Slurm preempts the task; both are handed on,
# and the program saves. Only the first asks to be put back: preemption does so itself.
at_limit=no
trap 'at_limit=yes; kill -USR1 $task' USR1
trap 'kill -TERM $task' TERM
{program} sweep run --manifest {manifest} --index "$SLURM_ARRAY_TASK_ID" \
  --threads {cpus} --device {device} {folders} &
task=$!
wait $task; code=$?
# A trap ends the first wait before the program has ended.
while kill -0 $task 2>/dev/null; do wait $task; code=$?; done
if [ $code = 75 ] && [ $at_limit = yes ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $code
