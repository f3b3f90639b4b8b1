#!/bin/bash
# Starts or stops a real Slurm on this machine alone, for trying and testing job arrays.
#
#   scripts/slurm/one-node.sh start DIR    start it; everything it writes lies in DIR
#   export SLURM_CONF=DIR/slurm.conf       then sbatch, squeue and scontrol speak to it
#   scripts/slurm/one-node.sh stop DIR     stop it
#
# Needs root and the packages slurm-wlm and munge (Debian). It has its own ports, key and folders and
# touches no installed configuration. A requeued task waits two minutes, unless
# `scontrol update JobId=JOB StartTime=now` lets it go at once.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# = 2 ] || usage
action=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
export SLURM_CONF=$dir/slurm.conf PATH=$PATH:/usr/sbin:/sbin

# A folder's own ports, so that two of these do not meet.
port() { echo $((20000 + $(printf %s "$dir" | cksum | cut -d' ' -f1) % 20000)); }

write_configuration() {
  local host ctld
  host=$(hostname -s)
  ctld=$(port)
  mkdir -p "$dir"/{state,spool,munge}
  chmod 700 "$dir/munge"
  cat > "$SLURM_CONF" <<END
ClusterName=one-node
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$ctld
SlurmdPort=$((ctld + 1))
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CryptoType=crypto/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobRequeue=1
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=10
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
}

start() {
  local program
  for program in slurmctld slurmd munged sbatch; do
    command -v "$program" > /dev/null || { echo "$program is not installed (Debian: slurm-wlm, munge)" >&2; exit 1; }
  done
  write_configuration
  [ -f "$dir/munge/key" ] || (umask 077 && head -c 1024 /dev/urandom > "$dir/munge/key")
  munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/munged.pid" \
    --log-file="$dir/munge/munged.log" --seed-file="$dir/munge/seed"
  slurmctld -i -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%t 2> /dev/null)" = idle ]; then
      echo "export SLURM_CONF=$SLURM_CONF"
      return
    fi
    sleep 0.5
  done
  echo "the node does not become idle; see $dir/slurmctld.log and $dir/slurmd.log" >&2
  exit 1
}

# Ends the process that a file names.
end() {
  [ -f "$1" ] && kill "$(cat "$1")" 2> /dev/null || true
}

stop() {
  scancel --user=root 2> /dev/null || true
  sleep 1
  end "$dir/slurmd.pid"
  end "$dir/slurmctld.pid"
  sleep 1
  end "$dir/munge/munged.pid"
}

case $action in
  start) start ;;
  stop) stop ;;
  *) usage ;;
esac
