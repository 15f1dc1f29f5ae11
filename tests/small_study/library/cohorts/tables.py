"""Cohort tables of text files."""

from hashlib import sha256

from osteotl.cohorts.trace import trace

from osteotl.files import write_json, write_text


class CohortError(ValueError):
    """Every fault in the cohorts."""

    def __init__(self, faults):
        super().__init__("\n".join(faults))
        self.faults = faults


def build(step):
    """Read the films and write the tables."""
    trace(step)
    boxes, faults = ["image_id,x_min,cohort"], []
    for cohort in ("pretrain", "development", "external"):
        rows = ["image_id,content,film"]
        for path in sorted(getattr(step.study.cohorts, cohort).root.glob("*.txt")):
            text = path.read_text(encoding="utf-8")
            if "broken" in text:
                faults.append(f"error: {path.name} in {cohort} cannot be read")
            key = sha256(text.encode()).hexdigest()[:12]
            rows.append(f"{path.stem},{key},{key}")
            write_text(step.data / ".prepared" / key[:2] / f"{key}.png", "a prepared film\n")
            if "box" in text:
                boxes.append(f"{path.stem},{len(text)},{cohort}")
        write_text(step.write(f"cohorts/{cohort}.csv"), "\n".join(rows) + "\n")
    if faults:
        raise CohortError(faults)
    write_text(step.write("cohorts/boxes.csv"), "\n".join(boxes) + "\n")
    write_text(step.write("cohorts/film_notes.csv"), "image_id,note\n")
    write_json(step.write("cohorts/integrity.json"), {"faults": [], "salt": step.study.privacy.salt})
