"""Remedies of films: whether it can be read, and what its pixels show."""

from __future__ import annotations

import io
import re
import shutil

import numpy as np
import pandas as pd
from PIL import Image

from cohorts import layouts
from cohorts.make_films import dicom
from faults.remedies import Read, case, corners, picture, two_films, with_external
from faults.remedies_of_tables import MANIFEST

# --- whether it can be read -------------------------------------------------------------------------------------------


def unreadable(place, content):
    """The last film of a manifest, with other bytes; its own bytes."""
    path = place.layout("manifest") / "films/f013.png"
    sound = path.read_bytes()
    path.write_bytes(content(sound) if callable(content) else content)
    return path, sound


def frames(_):
    file = io.BytesIO()
    Image.fromarray(picture(1)).save(file, "TIFF", save_all=True, append_images=[Image.fromarray(picture(2))])
    return file.getvalue()


@case("film_unreadable", "copy it again from its source", (b"",), (lambda sound: sound[:-50],),
      (lambda sound: sound[:60] + b"?" + sound[61:],))  # fmt: skip
def a_film_that_was_cut(place, content):
    path, sound = unreadable(place, content)
    yield
    path.write_bytes(sound)
    yield MANIFEST


@case("film_unreadable", "", (lambda sound: b"PK\x03\x04" + sound, "unpack or export it as one of these"),
      (b"GIF89a", "unpack or export it as one of these"), (frames, "export one film per file"),
      (lambda sound: dicom(PixelData=None), "export the radiograph itself"),
      (lambda sound: dicom(NumberOfFrames=2), "export one radiograph per file"),
      (lambda sound: dicom()[:-3000], "export it again"))  # fmt: skip
def a_file_that_is_no_single_film(place, content, words):
    path, sound = unreadable(place, content)
    found = yield
    assert words in found.remedy
    path.write_bytes(sound)
    yield MANIFEST


@case("film_unreadable", "exclude it by name", ("knees/films/f013.png",), ("f013.png",))
def a_dicom_that_cannot_be_decoded(place, name):
    unreadable(place, dicom()[:-3000])
    yield
    place.integrity["exclude"] = [name]
    yield Read(13, 6, 6)


@case("film_unreadable", "exclude it, or take it away", ("exclude",), ("take",))
def a_folder_named_as_a_film(place, how):
    root = place.layout("manifest")
    pipe = root / "films/f013.png"
    pipe.unlink()
    __import__("os").mkfifo(pipe)
    yield
    if how == "exclude":
        place.integrity["exclude"] = ["knees/films/f013.png"]
        yield Read(13, 6, 6)
    else:
        pipe.unlink()
        layouts.film(pipe, seed=13)
        yield MANIFEST


@case("film_unreadable", "export the film at its own size")
def a_film_that_is_too_large(place):
    tall = np.zeros((30_001, 2), np.uint8)
    file = io.BytesIO()
    Image.fromarray(tall).save(file, "PNG")
    path, sound = unreadable(place, file.getvalue())
    yield
    path.write_bytes(sound)
    yield MANIFEST


@case("film_unreadable", "or exclude the film")
def a_link_to_nothing(place):
    path = place.layout("manifest") / "films/f013.png"
    path.unlink()
    path.symlink_to("gone.png")
    yield
    place.integrity["exclude"] = ["knees/films/f013.png"]
    yield Read(13, 6, 6)


# --- what the pixels show ---------------------------------------------------------------------------------------------


def as_dicom(place, **values):
    """The last film of a manifest as DICOM."""
    root = place.layout("manifest")
    pixels = picture(3).astype(np.uint16) * 16
    (root / "films/f013.png").unlink()
    path = root / "films/f013.dcm"
    path.write_bytes(dicom(pixels, **values))
    place.edit("f013.png", "f013.dcm")
    return path, pixels


@case("film_damaged", "copy it again from its source, or name it under integrity.exclude", ("copy",), ("exclude",))
def a_jpeg_that_was_repaired(place, how):
    root = place.layout("manifest")
    (root / "films/f013.png").unlink()
    place.edit("f013.png", "f013.jpg")
    pixels = picture(3).copy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    pixels[60:] = 128
    Image.fromarray(pixels).save(root / "films/f013.jpg", quality=100)
    yield
    if how == "copy":
        (root / "films/f013.jpg").write_bytes(file.getvalue())
        yield MANIFEST
    else:
        place.integrity["exclude"] = ["knees/films/f013.jpg"]
        yield Read(13, 6, 6)


@case("burned_in_annotation", "cover it or leave the film out", ("look",), ("out",))
def text_burned_in(place, how):
    as_dicom(place, BurnedInAnnotation="YES")
    yield
    if how == "out":
        place.integrity["exclude"] = ["knees/films/f013.dcm"]
    yield MANIFEST if how == "never" else Read(14, 6, 6, stays=True) if how == "look" else Read(13, 6, 6)


@case("for_processing", "export the film FOR PRESENTATION, as readers see it")
def detector_values(place):
    path, pixels = as_dicom(place, PresentationIntentType="FOR PROCESSING")
    yield
    path.write_bytes(dicom(pixels, PresentationIntentType="FOR PRESENTATION"))
    yield MANIFEST


@case("grey_doubtful", "look at it; where it looks wrong, export it", ("look",), ("export",))
def a_window_without_a_width(place, how):
    path, pixels = as_dicom(place, WindowCenter="2000", WindowWidth="0")
    yield
    if how == "export":
        path.write_bytes(dicom(pixels, WindowCenter="2048", WindowWidth="4096"))
    yield Read(14, 6, 6, stays=how == "look")


@case("value_implausible", "nothing, unless lengths in mm are needed: then export it again", ("nothing",), ("export",))
def spacing_that_is_no_number(place, how):
    path, pixels = as_dicom(place, PixelSpacing=["0.2", "-1"])
    yield
    if how == "export":
        path.write_bytes(dicom(pixels, PixelSpacing=["0.2", "0.2"]))
    films, _ = yield Read(14, 6, 6, stays=how == "nothing")
    assert films["spacing_mm"].dropna().tolist() == ([0.2] if how == "export" else [])


@case("film_constant", "export the film again, or name it under integrity.exclude", ("export",), ("exclude",))
def a_film_of_one_grey(place, how):
    path = place.layout("manifest") / "films/f013.png"
    sound = path.read_bytes()
    Image.fromarray(np.full((100, 120), 90, np.uint8)).save(path)
    yield
    if how == "export":
        path.write_bytes(sound)
    else:
        place.integrity["exclude"] = ["knees/films/f013.png"]
    yield MANIFEST if how == "export" else Read(13, 6, 6)


@case("film_saturated", "look at it")
def a_film_mostly_black(place):
    path = place.layout("manifest") / "films/f013.png"
    pixels = np.zeros((100, 120), np.uint8)
    pixels[:5] = picture(4)[:5]
    Image.fromarray(pixels).save(path)
    yield
    yield Read(14, 6, 6, stays=True)


@case("duplicate_exact", "exclude one of them")
def a_film_twice(place):
    films = place.layout("manifest") / "films"
    shutil.copy(films / "f012.png", films / "f013.png")
    found = yield
    place.exclude(found.remedy)
    yield Read(13, 6, 6)


@case("duplicate_exact", "exclude all but one of them")
def a_film_four_times(place):
    films = place.layout("manifest") / "films"
    for name in ("f010", "f011", "f012"):
        shutil.copy(films / "f013.png", films / f"{name}.png")
    found = yield
    place.exclude(found.remedy)
    yield Read(11, 6, 6)


@case("duplicate_exact", "if one film, keep", ("patient",), ("film",))
def a_film_eight_times(place, how):
    films = place.layout("manifest") / "films"
    for number in range(6, 13):
        shutil.copy(films / "f013.png", films / f"f{number:03d}.png")
    found = yield
    if how == "patient":
        table = pd.read_csv(place.root / "manifest.csv", keep_default_na=False)
        table.loc[table["label"] == 0, "patient_id"] = "P099"
        table.to_csv(place.root / "manifest.csv", index=False)
        yield Read(14, 6, 6, stays=True)  # one patient now; still the same film eight times
    else:
        kept = re.search("keep (\\S+) alone", found.remedy)[1]
        names = [f"knees/films/f{number:03d}.png" for number in range(6, 14)]
        place.integrity["exclude"] = [name for name in names if name != kept]
        yield Read(7, 6, 6)


@case("near_duplicate", "exclude one of them")
def two_films_that_look_alike(place):
    with_external(place)  # so that all films of the other cohort train
    films = place.root / "films"
    with Image.open(films / "f009.png") as film:
        film.resize((240, 200), Image.Resampling.BICUBIC).save(films / "f013.png")
    found = yield
    place.exclude(found.remedy)
    yield Read(17, 8, 8)


@case("near_duplicate", "give them one patient_id", ("patient",), ("film",))
def seven_films_that_look_alike(place, how):
    with_external(place)
    films = place.root / "films"
    with Image.open(films / "f007.png") as film:
        for number in range(8, 14):
            film.resize((120 + 10 * number, 100 + 8 * number), Image.Resampling.BICUBIC).save(
                films / f"f{number:03d}.png"
            )
    found = yield
    if how == "patient":
        table = pd.read_csv(place.root / "manifest.csv", keep_default_na=False)
        table.loc[table["label"] == 0, "patient_id"] = "P099"
        table.to_csv(place.root / "manifest.csv", index=False)
        yield Read(18, 8, 8)
    else:
        kept = re.search("keep (\\S+) alone", found.remedy)[1]
        names = [f"knees/films/f{number:03d}.png" for number in range(7, 14)]
        place.integrity["exclude"] = [name for name in names if name != kept]
        yield Read(12, 8, 8)


@case("duplicate_exact_across", "exclude one of them")
def a_film_in_both_cohorts(place):
    other = with_external(place)
    shutil.copy(place.root / "films/f013.png", other / "films/f003.png")
    found = yield
    place.exclude(found.remedy)
    yield Read(17, 8, 8)


@case("near_duplicate_across", "exclude one of them")
def films_alike_in_both_cohorts(place):
    other = with_external(place)
    with Image.open(place.root / "films/f013.png") as film:
        film.resize((240, 200), Image.Resampling.BICUBIC).save(other / "films/f003.png")
    found = yield
    place.exclude(found.remedy)
    yield Read(17, 8, 8)


@case("duplicate_label_conflict", "find out which label is right; correct the other")
def a_film_with_two_labels(place):
    films = place.layout("manifest") / "films"
    shutil.copy(films / "f000.png", films / "f013.png")
    yield
    place.edit("films/f013.png,0", "films/f013.png,1")
    with (place.root / "boxes.csv").open("a") as file:
        file.write("films/f013.png,10,20,50,60,osteosarcoma\n")
    yield Read(14, 7, 7)


@case("name_in_filename", "rename the films by a number")
def a_name_of_a_person(place):
    root = place.layout("manifest")
    (root / "films/f013.png").rename(root / "films/Erika_Mustermann.png")
    place.edit("f013.png", "Erika_Mustermann.png")
    yield
    (root / "films/Erika_Mustermann.png").rename(root / "films/f099.png")
    place.edit("Erika_Mustermann.png", "f099.png")
    yield MANIFEST


@case("date_in_filename", "rename the films by a number")
def a_date_of_birth(place):
    root = place.layout("manifest")
    (root / "films/f013.png").rename(root / "films/1956-03-02.png")
    place.edit("f013.png", "1956-03-02.png")
    yield
    (root / "films/1956-03-02.png").rename(root / "films/f099.png")
    place.edit("1956-03-02.png", "f099.png")
    yield MANIFEST


def with_orientation(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    return file.getvalue()


@case("box_turned", "save it without the EXIF tag (pixels as they are)")
def boxes_of_a_film_as_stored(place):
    path = two_films(place, [10, 20, 50, 60])
    pixels = picture(1)
    path.write_bytes(with_orientation(pixels, 6))
    yield
    Image.fromarray(pixels).save(path)
    films, boxes = yield Read(2, 1, 1)
    assert films.loc[films["label"] == 1, "width"].tolist() == [120]
    assert corners(boxes) == [[10, 20, 50, 60]]
