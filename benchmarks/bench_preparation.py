"""Preparing DICOM films on all cores against one plain pydicom loop that makes the same 8-bit PNGs.

    python benchmarks/bench_preparation.py [FILMS]

The films are synthetic CR images of 1760 x 2140 pixels, 12 bits in 16, a third each uncompressed, RLE and JPEG 2000
lossless. The loop reads, decodes, windows, inverts where needed, scales down and writes, as a script of a page would;
it computes no hashes and checks nothing. Target: at most 1/1.8 of its time on two cores, and memory flat in the films.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from _measure import Row, in_own_process, row, save
from osteotl.cohorts import phantoms
from osteotl.cohorts.parallel import workers
from osteotl.cohorts.preparation import Prepared, prepare_films
from osteotl.study import PhantomCohort

SIDE = 640
SYNTAXES = (None, RLELossless, JPEG2000Lossless)


def write_films(folder: Path, films: int) -> list[Path]:
    """Distinct DICOM films, from one drawn knee."""
    knee = phantoms.tasks_of(PhantomCohort(reader="phantom-knee", films=4, image_size=1024))[0]
    grey = Image.fromarray(phantoms.draw_film(knee)[0].astype(np.float32)).resize((1760, 2140))
    stored = np.clip(np.asarray(grey) * 4095, 0, 4095).astype(np.uint16)
    paths = []
    for k in range(films):
        paths.append(folder / f"{k:04d}.dcm")
        dataset = _dataset(np.roll(stored, 3 * k, axis=1), k)
        if (syntax := SYNTAXES[k % len(SYNTAXES)]) is not None:
            dataset.compress(syntax)
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _dataset(pixels: np.ndarray, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, f"1.2.3.{number}"
    dataset.Modality, dataset.PhotometricInterpretation = "CR", "MONOCHROME1"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
    dataset.PixelRepresentation, dataset.WindowCenter, dataset.WindowWidth = 0, 2048, 4096
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = pixels.tobytes()
    return dataset


def plain_loop(paths: list[Path], out: Path) -> float:
    """What a reader would write first; seconds."""
    start = time.perf_counter()
    for path in paths:
        dataset = pydicom.dcmread(path)
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
        low, high = float(values.min()), float(values.max())
        grey = ((values - low) / (high - low) * 255).astype(np.uint8)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            grey = 255 - grey
        image = Image.fromarray(grey)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        image.save(out / f"{path.stem}.png", compress_level=1)
    return time.perf_counter() - start


def prepared(paths: list[Path], cache: Path, processes: int) -> float:
    """`prepare_films` on an empty cache, worker start included; seconds."""
    start = time.perf_counter()
    results = prepare_films(paths, cache, SIDE, processes=processes)
    seconds = time.perf_counter() - start
    faults = [str(result) for result in results if not isinstance(result, Prepared)]
    if faults:
        raise RuntimeError(f"{len(faults)} films could not be prepared, the first: {faults[0]}")
    return seconds


def main(films: int = 96) -> list[Row]:
    """Rows for results/preparation.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_films(folder, films)
        (folder / "plain").mkdir()
        loop, loop_mb = in_own_process(plain_loop, paths, folder / "plain")
        rows = [row("plain pydicom loop", loop, n=films, peak_mb=loop_mb, note="one process")]
        for processes in sorted({1, min(2, workers())}):
            seconds, _ = in_own_process(prepared, paths, folder / f"cache{processes}", processes)
            ratio, note = loop / seconds, f"{processes} process{'es' if processes > 1 else ''}"
            rows.append(row("prepare_films", seconds, n=films, peer="plain pydicom loop", ratio=ratio, note=note))
        again, _ = in_own_process(prepared, paths, folder / "cache1", 1)
        rows.append(row("prepare_films, nothing changed", again, n=films, note="films known by their times"))
        rows += memory(paths, folder)
    return save("preparation", rows)


def memory(paths: list[Path], folder: Path) -> list[Row]:
    """Peak memory of one process with a quarter of the films and with all of them."""
    rows: list[Any] = []
    for count in (len(paths) // 4, len(paths)):
        seconds, peak = in_own_process(prepared, paths[:count], folder / f"memory{count}", 1)
        rows.append(row(f"memory with {count} films", seconds, n=count, peak_mb=peak, note="one process"))
    return rows


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
