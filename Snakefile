# The study as a graph: one rule per notebook, then the report. Started by ./run_all.sh, which also says what must run.
#
# A rule's output is a mark, not the files that the step writes. Files have dates, and a touched file is not a changed
# one; so lib/osteotl/workflow keeps a record with the hashes of every file of every step, run_all.sh removes the marks
# of steps whose record no longer holds (a deleted, altered or half-written file included), and the engine runs
# what lacks a mark and everything after it. A step whose inputs came out the same as before ends at once.
import os

from osteotl.study import load_study
from osteotl.workflow.steps import from_root, steps_of

study_file = str(from_root(config["study"]))
study = load_study(study_file)
steps = steps_of(study)
workers = config["workers"]


def mark(name):
    return f"marks/{name}"


def needs(name):
    return [mark(need) for need in steps[name].needs]


# `exec`, and the engine's own number: a step ends with the engine, even with one that died while the step was starting
STEP = " {config[python]:q} -m osteotl.workflow.run_notebook {params.step:q} {config[study]:q} {config[outputs]:q}"
RUN = f"OSTEOTL_ENGINE={os.getpid()} exec" + STEP
# where there are GPUs, what trains or scores waits for a place on one and then sees that one alone
gpus = [name for name in os.listdir("/dev") if name.startswith("nvidia") and name[6:].isdigit()]
ON_GPU = " {config[python]:q} -m osteotl.detection.gpu_slots {study_file:q}" if gpus else ""
RUN_ON_GPU = f"OSTEOTL_ENGINE={os.getpid()} exec" + ON_GPU + STEP
TRAIN = {"gpu": 1, "mem_mb": 8000, "runtime": 24 * 60}


wildcard_constraints:
    arm="[A-Za-z][A-Za-z0-9_]*",
    fraction="[0-9.e-]+",
    seed="[0-9]+",


localrules: all


rule all:
    input: [mark(name) for name in steps]


rule cohorts:
    output: touch(mark("00_cohorts"))
    params: step="00_cohorts"
    threads: workers
    resources: mem_mb=4000, runtime=240
    shell: "OSTEOTL_WORKERS={threads} " + RUN


rule pretrain:
    input: mark("00_cohorts")
    output: touch("marks/01_pretrain{other,(_other_modality)?}")
    params: step="01_pretrain{other}"
    priority: 10  # half of the replicates wait for it
    resources: **TRAIN
    shell: RUN_ON_GPU


rule finetune:
    input: lambda w: needs(f"02_finetune_{w.arm}_{w.fraction}_{w.seed}")
    output: touch("marks/02_finetune_{arm}_{fraction}_{seed}")
    params: step="02_finetune_{arm}_{fraction}_{seed}"
    resources: **TRAIN
    shell: RUN_ON_GPU


rule evaluate:
    input: lambda w: needs("03_evaluate")
    output: touch(mark("03_evaluate"))
    params: step="03_evaluate"
    threads: workers
    resources: **TRAIN
    shell: "OSTEOTL_WORKERS={threads} " + RUN_ON_GPU


rule statistics:
    input: lambda w: needs("04_statistics")
    output: touch(mark("04_statistics"))
    params: step="04_statistics"
    threads: workers
    resources: mem_mb=8000, runtime=240
    shell: "OSTEOTL_WORKERS={threads} " + RUN


rule figures:
    input: lambda w: needs("05_figures")
    output: touch(mark("05_figures"))
    params: step="05_figures"
    resources: mem_mb=4000, runtime=60
    shell: RUN


rule report:
    input: lambda w: needs("report")
    output: touch(mark("report"))
    params: step="report"
    resources: mem_mb=4000, runtime=60
    shell: RUN
