#!/bin/bash
#SBATCH --job-name=repro-collect
#SBATCH --requeue
#SBATCH --cpus-per-task={cpus}
#SBATCH {output}
{options}
{program} sweep collect {manifest} --threads {cpus} --device cpu {folders} --out {out}
