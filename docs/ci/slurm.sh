#!/bin/bash
# Boot tests as an array job of Slurm: each task runs its share, 'vireo test' finds out which.
#
#     id=$(sbatch --parsable slurm.sh tests/boot)
#     sbatch --dependency=afterany:"$id" --array=1 slurm.sh --merge "boot-tests-$id"
#
# The first line takes what 'vireo test' takes.  The second one joins the results when all tasks
# have ended, whatever came of them: boot-tests-ID/merged/report.html is the page for people, and the
# job's exit status says whether all passed.  Nodes need /dev/kvm, and a directory that they share.
#
#SBATCH --job-name=boot-tests
#SBATCH --array=1-4
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --time=30:00
#SBATCH --output=boot-tests-%A_%a.log
set -eu

if [ "${1-}" = --merge ]; then
	exec vireo test --merge --results "$2/merged" "$2"/shard-*
fi

all=boot-tests-$SLURM_ARRAY_JOB_ID
mkdir -p "$all"
echo "task $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT on $SLURMD_NODENAME"
exec vireo test --results "$all/shard-$SLURM_ARRAY_TASK_ID" "$@"
