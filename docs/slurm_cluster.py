"""A Dask cluster on Slurm for `wirelessfl ... --cluster ADDRESS`; ends with Ctrl-C.

usage: python slurm_cluster.py --workers 20 [--queue normal] [--walltime 08:00:00] [--show]
"""

import argparse
import signal
import sys
from pathlib import Path

from dask_jobqueue import SLURMCluster

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--workers", type=int, default=2, help="number of jobs, one run at a time each")
parser.add_argument("--queue", help="partition of Slurm")
parser.add_argument("--walltime", default="08:00:00", help="limit of each job")
parser.add_argument("--memory", default="4GB", help="memory of each job")
parser.add_argument("--interface", help="network interface of scheduler and workers, such as ib0")
parser.add_argument("--show", action="store_true", help="print the text of a job and end")


def main() -> None:
    """Start the scheduler here and the workers as jobs; print the address."""
    options = parser.parse_args()
    cluster = SLURMCluster(
        queue=options.queue,
        walltime=options.walltime,
        memory=options.memory,
        interface=options.interface,
        cores=1,  # one run at a time in each job
        processes=1,
        python=sys.executable,
        job_script_prologue=["export OMP_NUM_THREADS=1", f"cd {Path.cwd()}"],
        log_directory="slurm-logs",
        scheduler_options={"dashboard": False},
    )
    if options.show:
        print(cluster.job_script())
        return
    cluster.scale(jobs=options.workers)
    print(f"--cluster {cluster.scheduler_address}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    cluster.close()


if __name__ == "__main__":
    main()
