"""Pretrain once, fine-tune every (arm, fraction, seed): fixed steps, last weights, proof of pairing."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ultralytics.nn.tasks import DetectionModel

from osteotl.cohorts.partition import in_fraction
from osteotl.detection import hardware
from osteotl.detection.errors import Replicate, TrainingError, WeightsError
from osteotl.detection.films import Films, cached_films, read_cohort, require_boxes
from osteotl.detection.initialisation import Initialisation, build_detector, initialise
from osteotl.detection.pairing import architecture, check_static, versions
from osteotl.detection.progress import Progress
from osteotl.detection.records import Trained, device_name, model_facts, whole_folder, write_run
from osteotl.detection.trainer import PairedTrainer, Plan
from osteotl.detection.weights import digest, save_weights
from osteotl.files import sha256, write_csv, write_json
from osteotl.study import AUGMENTATIONS, Arm, Detector, Study

LEAST_MOVE = 1e-5  # relative change of the weights below which nothing was learnt
PRETRAIN_SEED = 0


def pretrain(
    study: Study, out: str | Path, data_dir: str | Path, cohort: str = "pretrain", progress: Progress | None = None
) -> Trained:
    """Train a detector of lesions on the pretraining cohort, from random weights.

    Parameters
    ----------
    study : Study
    out : path
        The outputs folder; writes OUT/COHORT/{weights.safetensors, training.csv, model.json}.
    data_dir : path
        The folder that holds `.prepared/`.
    cohort : str
        pretrain or other_modality.
    progress : Progress, optional
        Default: a line on the terminal every ten seconds.

    Raises
    ------
    TrainingError
        If training diverges, never moves, has no lesion to learn from, or runs out of GPU memory.
    WeightsError
        If `detector.pretrained_weights` cannot be used.
    """
    out = Path(out)
    given = study.detector.pretrained_weights if cohort == "pretrain" else None
    if given is not None:
        return _adopt(study, out, Path(given))
    films = _training_films(out, cohort, data_dir, study.detector)
    _require_lesions(films, cohort)
    detector = study.detector
    per_epoch = math.ceil(len(films) / detector.batch)
    plan = _plan(
        study, cohort, None, seed=PRETRAIN_SEED, steps=per_epoch * detector.pretrain_epochs,
        epochs=detector.pretrain_epochs, warmup=per_epoch, augmentation=_augmentation(detector), checkpoints=(),
    )  # fmt: skip
    trainer, _ = _train(plan, build_detector(detector.model, PRETRAIN_SEED), films, progress)
    facts = {
        **model_facts(films, trainer, plan), "purpose": cohort, "initialise": "random",
        "random_init": digest(build_detector(detector.model, PRETRAIN_SEED).state_dict()),
    }  # fmt: skip
    return write_run(out / cohort, trainer, facts, "model.json")


def finetune(
    study: Study,
    arm: str,
    fraction: float,
    seed: int,
    out: str | Path,
    data_dir: str | Path,
    progress: Progress | None = None,
) -> Trained:
    """Train one replicate, after proof that all arms of this (fraction, seed) would train alike.

    An interrupted replicate leaves nothing behind and starts again from zero: a resumed run would draw its films in
    another order, so its result would depend on the interruption.

    Parameters
    ----------
    study : Study
    arm, fraction, seed
        The replicate; one of `study.replicates()`.
    out : path
        Writes OUT/finetune/ARM/FRACTION/SEED/{weights.safetensors, training.csv, pairing.json}, whole or not at all.
    data_dir : path
        The folder that holds `.prepared/`.
    progress : Progress, optional

    Raises
    ------
    PairingError
        If arms differ in anything but their initialisation (and what an arm declares).
    TrainingError
        If training diverges, never moves, the fraction holds no malignant film, or the GPU is out of memory.
    WeightsError
        If the weights to start from cannot be used.
    """
    out = Path(out)
    replicate = Replicate(arm, fraction, seed)
    if arm not in study.arms:
        raise ValueError(f"arm {arm!r} is not in the study: arms are {', '.join(study.arms)}")
    films = fraction_films(study, fraction, seed, out, data_dir, replicate)
    static = [static_facts(study, name, fraction, seed, out, films) for name in study.arms]
    check_static(static)
    folder = out / "finetune" / replicate.folder
    mode = "equal_epochs" if study.detector.fraction_training == "equal_epochs" else "equal_steps"
    trained = _finetune(study, replicate, mode, films, out, folder, static[list(study.arms).index(arm)], progress)
    if study.detector.fraction_training == "both" and fraction < 1:
        other = static_facts(study, arm, fraction, seed, out, films, "equal_epochs")
        _finetune(study, replicate, "equal_epochs", films, out, folder / "equal_epochs", other, progress)
    return trained


def static_facts(
    study: Study, arm: str, fraction: float, seed: int, out: str | Path, films: Films, mode: str | None = None
) -> dict[str, Any]:
    """Everything about a replicate that is known before training, its first weights aside.

    Parameters
    ----------
    films : Films
        What it trains on.
    mode : str, optional
        equal_steps or equal_epochs; default: the study's.

    Returns
    -------
    dict
        `arm`, `declared` and every fact of `pairing.NAMES`.
    """
    plan = finetune_plan(study, Replicate(arm, fraction, seed), len(films), Path(out), mode)
    return _facts(plan, _opened(plan, build_detector(plan.model, plan.seed), films), films, arm)


def finetune_plan(study: Study, replicate: Replicate, films: int, out: Path, mode: str | None = None) -> Plan:
    """How a replicate trains: a fraction takes as many steps as the whole set, unless equal epochs are asked for.

    Parameters
    ----------
    study : Study
    replicate : Replicate
    films : int
        Training films of the fraction.
    out : Path
    mode : {"equal_steps", "equal_epochs"}, optional
        Default: `detector.fraction_training`.
    """
    detector, arm = study.detector, study.arms[replicate.arm]
    whole = len(_training_rows(out))
    full_epoch, own_epoch = math.ceil(whole / detector.batch), math.ceil(films / detector.batch)
    mode = mode or detector.fraction_training
    steps = (own_epoch if mode == "equal_epochs" else full_epoch) * detector.epochs
    if arm.train_for == "pretrain_and_finetune":
        steps += math.ceil(len(_training_rows(out, "pretrain")) / detector.batch) * detector.pretrain_epochs
    declared = (("seed",) if arm.seed_offset else ()) + (("steps",) if arm.train_for != "finetune" else ())
    return _plan(
        study, str(replicate), replicate, seed=replicate.seed + arm.seed_offset, steps=steps,
        epochs=math.ceil(steps / own_epoch), warmup=full_epoch, augmentation=_augmentation(detector),
        checkpoints=tuple(detector.checkpoints), declared=declared,
    )  # fmt: skip


def fraction_films(
    study: Study, fraction: float, seed: int, out: str | Path, data_dir: str | Path, replicate: Replicate | None = None
) -> Films:
    """The films that every arm of this (fraction, seed) trains on: nested by patient, the same for all arms.

    Raises
    ------
    TrainingError
        If no malignant film is among them.
    """
    films = _training_films(Path(out), "development", data_dir, study.detector)
    if fraction < 1:
        films = films.subset(np.flatnonzero(in_fraction(films.table, fraction, seed)))
    _require_lesions(films, "development", replicate)
    return films


# --- parts ------------------------------------------------------------------------------------------------------------


def _finetune(
    study: Study, replicate: Replicate, mode: str, films: Films, out: Path, folder: Path, static: dict[str, Any],
    progress: Progress | None,
) -> Trained:  # fmt: skip
    plan = finetune_plan(study, replicate, len(films), out, mode)
    try:
        detector, start = initialise(study.arms[replicate.arm], plan.model, plan.seed, out)
    except WeightsError as error:
        raise WeightsError(f"{replicate}: {error}") from error
    trainer, moved = _train(plan, detector, films, progress)
    facts = _pairing(trainer, static, start, mode, moved)
    return write_run(folder, trainer, facts, "pairing.json", model_facts(films, trainer, plan))


def _train(
    plan: Plan, detector: DetectionModel, films: Films, progress: Progress | None
) -> tuple[PairedTrainer, float]:
    progress = progress or Progress(plan.name)

    def shown(trainer: PairedTrainer) -> None:
        done = trainer.record
        progress.step(done.step, plan.steps, done.films_seen, trainer.epoch + 1, plan.epochs)

    before = {name: p.detach().clone() for name, p in detector.named_parameters()}
    trainer = PairedTrainer(plan, detector, films, shown)
    try:
        trainer.train()
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(
            f"{plan.name}: GPU out of memory with batch {plan.batch} at {plan.image_size} px; try detector.batch: "
            f"{max(1, plan.batch // 2)} (for every arm), or fewer replicates at once"
        ) from error
    finally:
        trainer.close()
    moved = _moved(before, trainer.model)
    if moved < LEAST_MOVE:
        raise TrainingError(
            f"{plan.name}: training never moved (weights changed by {moved:.1e} of their size in {plan.steps} steps); "
            f"raise detector.learning_rate (now {plan.learning_rate:g})"
        )
    return trainer, moved


def _moved(before: dict[str, torch.Tensor], model: torch.nn.Module) -> float:
    after = dict(model.named_parameters())
    change = sum(float((after[name].detach().cpu() - old).square().sum()) for name, old in before.items())
    return math.sqrt(change / sum(float(old.square().sum()) for old in before.values()))


def _opened(plan: Plan, detector: DetectionModel, films: Films) -> PairedTrainer:
    """A trainer at the point where its first step would follow."""
    trainer = PairedTrainer(plan, detector, films)
    try:
        trainer._setup_train()
        trainer.opening = trainer.first_batch()
    finally:
        trainer.close()
    return trainer


def _facts(plan: Plan, trainer: PairedTrainer, films: Films, arm: str) -> dict[str, Any]:
    state = trainer.model.state_dict()
    return {
        "arm": arm, "declared": list(plan.declared), "model": plan.model, "image_size": plan.image_size,
        "classes": int(trainer.model.model[-1].nc), "architecture": architecture(state),
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "optimizer": _optimizer_facts(trainer.optimizer), "learning_rate": plan.learning_rate,
        "schedule": {"warmup_steps": plan.warmup_steps, "final_share": trainer.args.lrf, "epochs": plan.epochs},
        "batch": plan.batch, "steps": plan.steps, "epochs": plan.epochs, "augmentation": plan.augmentation,
        "precision": plan.precision, "device": device_name(plan.device), "threads": torch.get_num_threads(),
        "workers": int(trainer.args.workers), "versions": versions(), "films": len(films),
        "film_order": hashlib.sha256("\n".join(films.ids).encode()).hexdigest(), "film_content": films.digest(),
        "seed": plan.seed, "random_init": digest(state), "random_state": trainer.state_at_start,
        "first_batch": trainer.opening,
    }  # fmt: skip


def _pairing(
    trainer: PairedTrainer, static: dict[str, Any], start: Initialisation, mode: str, moved: float
) -> dict[str, Any]:
    record, replicate = trainer.record, trainer.plan.replicate
    if trainer.state_at_start != static["random_state"] or start.random_init != static["random_init"]:
        raise TrainingError(
            f"{trainer.plan.name}: training did not start from the random state that was checked before"
        )
    return {
        "schema": "osteotl.pairing/1",
        "replicate": asdict(replicate) if replicate else {},
        "training": mode,
        "steps": record.step,
        "static": static,
        "initialisation": start.as_dict(),
        "trained": {
            "steps": record.step,
            "films_seen": record.films_seen,
            "batches": record.batches,
            "all_batches": hashlib.sha256("".join(record.batches).encode()).hexdigest(),
            "moved": moved,
            "final_weights": digest(trainer.ema.ema.state_dict()),
        },
    }


def _adopt(study: Study, out: Path, given: Path) -> Trained:
    """Take pretraining made elsewhere, after the same checks as our own."""
    from osteotl.detection.weights import load_weights

    detector = build_detector(study.detector.model, PRETRAIN_SEED)
    _, start = initialise(Arm(initialise=str(given)), study.detector.model, PRETRAIN_SEED, out)
    state, facts = load_weights(given)
    beside = given.with_name("model.json")
    described = {
        "model": study.detector.model, "purpose": "pretrain", "given": given.name, "given_sha256": sha256(given),
        "given_model_json": sha256(beside) if beside.exists() else None, "stored_facts": facts,
        "initialise": "given", "tensors_that_fit": start.from_source, "tensors": start.tensors, "share": start.share,
        "parameters": sum(p.numel() for p in detector.parameters()), "licence": "as its maker states",
    }  # fmt: skip
    with whole_folder(out / "pretrain") as aside:
        weights = save_weights(aside / "weights.safetensors", state, {**facts, "given": given.name})
        described["weights_sha256"] = sha256(weights)
        history = pd.DataFrame(columns=["epoch", "step", "learning_rate"])
        write_csv(aside / "training.csv", history)
        write_json(aside / "model.json", described)
    return Trained(out / "pretrain", out / "pretrain" / "weights.safetensors", described, history)


def _plan(
    study: Study, name: str, replicate: Replicate | None, *, seed: int, steps: int, epochs: int, warmup: int,
    augmentation: dict[str, float], checkpoints: tuple[int, ...], declared: tuple[str, ...] = (),
) -> Plan:  # fmt: skip
    detector = study.detector
    device = hardware.choose_device(detector.device)
    if detector.precision == "bf16" and not hardware.bf16_allowed(device):
        raise TrainingError(
            f"{name}: detector.precision is bf16, which {device_name(device)} does not compute in; use float32"
        )
    return Plan(
        name, replicate, detector.model, detector.image_size, detector.batch, detector.optimizer,
        detector.learning_rate, augmentation, steps, epochs, warmup if steps > warmup else 0, seed,
        detector.precision, device,
        hardware.settle_threads(device), hardware.loader_workers(device), checkpoints, declared,
    )  # fmt: skip


def _augmentation(detector: Detector) -> dict[str, float]:
    settings = {name: float(detector.augmentation.get(name, 0.0)) for name in AUGMENTATIONS}
    return {**settings, "close_mosaic": int(settings["close_mosaic"])}


def _optimizer_facts(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    groups = [
        {name: group.get(name) for name in ("param_group", "initial_lr", "weight_decay", "betas", "momentum", "fused")}
        | {"tensors": len(group["params"])}
        for group in optimizer.param_groups
    ]
    return {"name": type(optimizer).__name__, "groups": [{k: _listed(v) for k, v in g.items()} for g in groups]}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _training_films(out: Path, cohort: str, data_dir: str | Path, detector: Detector) -> Films:
    films = cached_films(str(out), cohort, "training", str(data_dir), detector.image_size)
    require_boxes(films, cohort)
    return films


def _training_rows(out: Path, cohort: str = "development") -> pd.DataFrame:
    table = read_cohort(out, cohort)
    return table[table["partition"] == "training"]


def _require_lesions(films: Films, cohort: str, replicate: Replicate | None = None) -> None:
    if not any(len(boxes) for boxes in films.boxes):
        where = f"{replicate}: " if replicate else ""
        raise TrainingError(
            f"{where}none of the {len(films)} training films ({cohort}) holds a lesion, so there is nothing to learn; "
            "use a larger fraction or more films"
        )
