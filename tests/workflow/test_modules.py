"""What runs again when one character of the library changes: the real library and notebooks, copied."""

import re
import shutil
from pathlib import Path

import pytest

from osteotl.workflow import states

REAL = Path(__file__).resolve().parents[2]
TRAINING = {"01_pretrain", "02_finetune"}


class Copy:
    """The library and the notebooks, and what each notebook depends on."""

    def __init__(self, root, monkeypatch):
        self.root = root
        shutil.copytree(REAL / "lib", root / "lib", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(REAL / "notebooks", root / "notebooks")
        shutil.copy2(REAL / "requirements.lock", root)
        shutil.copy2(REAL / "study.yaml", root)
        monkeypatch.setattr(states, "ROOT", root)
        monkeypatch.setattr(states, "LIB", root / "lib")
        self.whole = states.StudyState(root / "study.yaml", root / "outputs")
        self.before = self.now()

    def now(self):
        self.whole._code.clear()
        chosen = {step.notebook: step for step in self.whole.steps.values()}
        return {name: self.whole._code_of(step) for name, step in chosen.items()}

    def changed(self, file, old, new):
        """Notebooks that make something anew, and notebooks that only show anew, after an edit; which is undone."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert re.search(old, text, flags=re.M), f"{old} is not in {file}"
        path.write_text(re.sub(old, new, text, count=1, flags=re.M), encoding="utf-8")
        now = self.now()
        path.write_text(text, encoding="utf-8")
        made = {n for n in now if any(now[n][kind] != self.before[n][kind] for kind in ("code", "packages"))}
        return made, {n for n in now if now[n]["display"] != self.before[n]["display"]} - made


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Copy(tmp_path_factory.mktemp("project"), monkeypatch)


RESULTS = {"04_statistics", "05_figures", "06_report", "render"}


@pytest.mark.parametrize(
    ("file", "shows"),
    [
        ("lib/diagnostic_accuracy/rates.py", {"04_statistics"}),
        ("lib/osteotl/display/numbers.py", {"04_statistics", "06_report"}),
        ("lib/osteotl/figures/curves.py", {"05_figures"}),
        ("lib/osteotl/report/render.py", {"render"}),
    ],
)
def test_the_analysis_and_what_shows_it_train_and_score_nothing(copy, file, shows):
    made, _ = copy.changed(file, r"^(\s+return )", r"\g<1>0 or ")
    assert shows <= made
    assert made <= RESULTS


def test_what_trains_retrains(copy):
    made, _ = copy.changed("lib/osteotl/detection/trainer.py", r"^(\s+return )", r"\g<1>0 or ")
    assert made >= TRAINING
    assert "00_cohorts" not in made
    assert not made & RESULTS


def test_what_scores_scores_again_and_trains_nothing(copy):
    made, _ = copy.changed("lib/osteotl/detection/audit.py", r"^(\s+return )", r"\g<1>0 or ")
    assert made == {"03_evaluate"}


def test_the_locked_plan_is_not_locked_again(copy):
    made, shown = copy.changed("lib/osteotl/plan.py", r"^(\s+return )", r"\g<1>0 or ")
    assert made == {"04_statistics"}
    assert not shown


def test_of_study_py_only_values_count(copy):
    assert copy.changed("lib/osteotl/study.py", "an empty file", "no file") == (set(), set())
    made, _ = copy.changed("lib/osteotl/study.py", r"AUGMENTATIONS = \(", "AUGMENTATIONS = ('none', ")
    assert made == TRAINING


def test_of_the_lock_only_packages_that_are_imported_count(copy):
    assert copy.changed("requirements.lock", "^snakemake==", "snakemake==9") == (set(), set())
    assert copy.changed("requirements.lock", "^torch==", "torch==9")[0] == TRAINING | {"03_evaluate"}
    made, _ = copy.changed("requirements.lock", "^numba==", "numba==9")
    assert made
    assert made <= RESULTS


def test_a_cell_that_shows_makes_nothing_anew(copy):
    made, shown = copy.changed("notebooks/02_finetune.ipynb", "Training loss", "Loss of training")
    assert (made, shown) == (set(), {"02_finetune"})
    made, _ = copy.changed("notebooks/02_finetune.ipynb", r"training\.finetune\(step\.study", "training.finetune(study")
    assert made == {"02_finetune"}
