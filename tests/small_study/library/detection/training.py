"""Weights that are hashes of everything that training may see."""

from hashlib import sha256

from osteotl.cohorts.trace import trace

from osteotl.files import write_json, write_text


def _train(step, folder, *seen):
    weights = sha256(repr(seen).encode()).hexdigest()
    for epoch in range(step.study.detector.epochs):
        weights = sha256(f"{weights} {epoch}".encode()).hexdigest()
    write_text(step.write(f"{folder}/weights.safetensors"), weights * 50)
    write_text(step.write(f"{folder}/training.csv"), f"step,loss\n1,0.{int(weights[:6], 16)}\n")
    return weights


def _boxes(step, cohort):
    return [line for line in step.read("cohorts/boxes.csv").read_text().splitlines() if line.endswith(f",{cohort}")]


def pretrain(step, cohort):
    """Pretrain on a cohort."""
    trace(step)
    weights = _train(step, cohort, step.read(f"cohorts/{cohort}.csv").read_text(), _boxes(step, cohort))
    write_json(step.write(f"{cohort}/model.json"), {"weights": weights})


def finetune(step, arm, fraction, seed):
    """Train one replicate."""
    trace(step)
    start = step.study.arms[arm].initialise
    first = "" if start == "random" else step.read(f"{start}/weights.safetensors").read_text()
    folder = f"finetune/{arm}/{fraction:g}/{seed}"
    films = step.read("cohorts/development.csv").read_text()
    weights = _train(step, folder, first, films, _boxes(step, "development"), fraction, seed)
    write_json(step.write(f"{folder}/pairing.json"), {"weights": weights})
    write_json(step.write(f"{folder}/model.json"), {"model": step.study.detector.model})
    for taken in step.study.detector.checkpoints:
        write_text(step.write(f"{folder}/checkpoints/{taken:06d}.safetensors"), weights)
