"""The code cells of the stand-in notebooks; the first cell of each holds the parameters."""

_COMMON = 'config = "study.yaml"\noutputs = "outputs"'
_OPEN = "from osteotl.workflow.step import open_step\n\nstep = open_step({arguments})\nstep"


def _notebook(name: str, parameters: str = "", arguments: str = "", *cells: str) -> list[str]:
    opened = _OPEN.format(arguments=", ".join(part for part in (f'"{name}"', "config", "outputs", arguments) if part))
    return ["\n".join(part for part in (_COMMON, parameters) if part), opened, *cells]


CELLS = {
    "00_cohorts": _notebook(
        "00_cohorts", "", "",
        "from osteotl.cohorts import tables\n\nif not step.fresh:\n    tables.build(step)",
        'len(step.read("cohorts/boxes.csv").read_text().splitlines())',
    ),
    "01_pretrain": _notebook(
        "01_pretrain", 'cohort = "pretrain"', "cohort=cohort",
        "from osteotl.detection import training\n\nif not step.fresh:\n    training.pretrain(step, cohort)",
        'step.read(f"{cohort}/training.csv").read_text()',
    ),
    "02_finetune": _notebook(
        "02_finetune", 'arm = "scratch"\nfraction = 1.0\nseed = 0', "arm=arm, fraction=fraction, seed=seed",
        "from osteotl.detection import training",
        "if not step.fresh:\n    training.finetune(step, arm, fraction, seed)",
        'step.read(f"finetune/{arm}/{fraction:g}/{seed}/training.csv").read_text()',
    ),
    "03_evaluate": _notebook(
        "03_evaluate", "", "",
        "from osteotl.detection import scoring\n\nif not step.fresh:\n    scoring.score(step)",
        'from osteotl.display import show\n\nshow(step.read("predictions.csv").read_text())',
    ),
    "04_statistics": _notebook(
        "04_statistics", "", "",
        "from osteotl import analysis\n\nanalysis.analyse(step)",
        'from osteotl.display import show\n\nshow(step.read("statistics.csv").read_text())',
    ),
    "05_figures": _notebook(
        "05_figures", "", "",
        "from osteotl import figures\n\nfigures.draw(step)",
        'step.read("figures/index.json").read_text()',
    ),
    "06_report": _notebook(
        "06_report", "", "",
        "from osteotl.report import documents\n\ndocuments.write(step)",
        'sorted([step.read("provenance.json").name, step.read("statistics.csv").read_text()])',
    ),
}  # fmt: skip
