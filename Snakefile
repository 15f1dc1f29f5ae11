# The study as a graph, started by ./run_all.sh: one rule per notebook says what its jobs ask of the machine. What runs,
# and after what, stands in the configuration: `needs` names every step that must run, with those before it that must
# run too (lib/osteotl/workflow/steps.py knows what reads what, states.py what still holds).
#
# A rule's output is a mark in an empty folder, not the files that the step writes: files have dates, and a touched file
# is not a changed one. A step whose inputs came out the same as before ends at once.
import os

study, workers = os.path.join(workflow.basedir, config["study"]), config["workers"]

# `exec`, and the engine's own number: a step ends with the engine, even with one that died while the step was starting
START = f"OSTEOTL_ENGINE={os.getpid()} OSTEOTL_WORKERS={{threads}} exec"
STEP = " {config[python]:q} -m osteotl.workflow.run_notebook {wildcards.step:q} {config[study]:q} {config[outputs]:q}"
# where there are GPUs, what trains or scores waits for a place on one and then sees that one alone
gpus = [name for name in os.listdir("/dev") if name.startswith("nvidia") and name[6:].isdigit()]
ON_GPU = " {config[python]:q} -m osteotl.detection.gpu_slots {study:q}" if gpus else ""

TRAIN = {"gpu": 1, "mem_mb": 8000, "runtime": 24 * 60}
JOBS = {  # notebook: processors, resources
    "00_cohorts": (workers, {"mem_mb": 4000, "runtime": 240}),
    "01_pretrain": (1, TRAIN),
    "02_finetune": (1, TRAIN),
    "03_evaluate": (workers, TRAIN),
    "04_statistics": (workers, {"mem_mb": 8000, "runtime": 240}),
    "05_figures": (1, {"mem_mb": 4000, "runtime": 60}),
    "06_report": (1, {"mem_mb": 4000, "runtime": 60}),
    "render": (1, {"mem_mb": 4000, "runtime": 60}),
}


localrules: all


rule all:
    input: [f"done/{step}" for step in config["needs"]]


for notebook, (processors, resources) in JOBS.items():
    rule:
        name: notebook.lstrip("0123456789_")
        input: lambda w: [f"done/{step}" for step in config["needs"][w.step]]
        output: touch("done/{step," + notebook + ".*}")
        priority: 10 if notebook == "01_pretrain" else 0  # half of the replicates wait for it
        threads: processors
        resources: **resources
        shell: START + (ON_GPU if "gpu" in resources else "") + STEP
