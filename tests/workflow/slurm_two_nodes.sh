#!/usr/bin/env bash
# A real SLURM of two nodes on this one machine, for `./run_all.sh test slurm`. Root, Debian; the packages and /etc/slurm
# stay. It prints the file with the process number of every daemon that it starts: what ran before is not ours to stop.
set -euo pipefail
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends slurm-wlm munge; } >/dev/null
fi
host="$(hostname -s)"
mkdir -p /var/spool/slurmctld /var/spool/slurmd.n1 /var/spool/slurmd.n2 /var/log/slurm /run/munge /run/slurm /etc/slurm
[ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
chown munge: /etc/munge/munge.key /run/munge /var/lib/munge /var/log/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=local
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd.%n
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.%n.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
GresTypes=gpu
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=1 RealMemory=4000 Gres=gpu:1 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=1 RealMemory=4000 Gres=gpu:1 State=UNKNOWN
PartitionName=gpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
printf 'NodeName=n1 Name=gpu File=/dev/null\nNodeName=n2 Name=gpu File=/dev/null\n' >/etc/slurm/gres.conf
pgrep -x munged >/dev/null || { runuser -u munge -- /usr/sbin/munged; echo /run/munge/munged.pid; }
pgrep -x slurmctld >/dev/null || { slurmctld; echo /run/slurm/slurmctld.pid; }
for node in n1 n2; do
  pgrep -f "slurmd -N $node" >/dev/null || { slurmd -N "$node"; echo "/run/slurm/slurmd.$node.pid"; }
done
for _ in $(seq 30); do
  [ "$(sinfo --noheader --format=%T%D 2>/dev/null)" = idle2 ] && exit 0
  sleep 1
done
sinfo >&2
exit 1
