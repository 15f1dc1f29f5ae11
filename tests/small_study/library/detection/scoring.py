"""Scores that are hashes of weights and film."""

from hashlib import sha256

from osteotl.cohorts.trace import trace

from osteotl.files import write_json, write_text


def score(step):
    """Lock the plan, then score every film by every replicate."""
    trace(step)
    write_json(step.write("analysis_plan.json"), {"margin": step.study.statistics.auc_margin})
    rows = ["image_id,arm,fraction,seed,score"]
    for arm, fraction, seed in step.study.replicates():
        weights = step.read(f"finetune/{arm}/{fraction:g}/{seed}/weights.safetensors").read_text()
        for line in step.read("cohorts/external.csv").read_text().splitlines()[1:]:
            value = int(sha256(f"{weights} {line}".encode()).hexdigest()[:8], 16) / 2**32
            rows.append(f"{line.split(',')[0]},{arm},{fraction:g},{seed},{value!r}")
    write_text(step.write("predictions.csv"), "\n".join(rows) + "\n")
    write_text(step.write("detections.csv"), "image_id,arm\n")
    write_text(step.write("audit.csv"), "image_id,arm\n")
    write_json(step.write("audit.json"), {})
    write_text(step.write("occlusion/0.png"), "a map\n")
    if step.study.scores_extras:
        write_text(step.write("predictions_extra.csv"), "image_id,step\n")
