"""Occlusion maps beside the gallery."""

import base64
import json
import shutil
from io import BytesIO

from bs4 import BeautifulSoup
from PIL import Image

from osteotl.reporting.occlusion import occlusion
from osteotl.reporting.page import build_report
from osteotl.reporting.results import load_results

ENTRY = {
    "arm": "scratch", "kind": "worst_miss", "image_id": "abcdef012345", "label": 1, "file": "scratch_worst_miss.png",
    "full_colour": 3.25, "falls": 3.25, "rises": 0.5,
}  # fmt: skip


def with_maps(page, folder, *entries):
    shutil.copytree(page.out, folder)
    (folder / "occlusion").mkdir()
    Image.new("RGB", (384, 384), (90, 90, 90)).save(folder / "occlusion" / ENTRY["file"])
    file = folder / "audit.json"
    audit = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(audit | {"occlusion": list(entries)}), encoding="utf-8")
    return folder


def test_a_map_stands_in_the_gallery_with_its_arm_its_rule_and_its_scale(page, tmp_path):
    out = with_maps(page, tmp_path / "out", ENTRY)
    report = build_report(page.study, out, page.data).read_text(encoding="utf-8")
    shown = BeautifulSoup(report, "html.parser").select_one("#gallery #occlusion")
    (image,) = shown.select("img")
    kind, _, content = image["src"].partition(";base64,")
    assert kind == "data:image/webp"
    with Image.open(BytesIO(base64.b64decode(content))) as shown_map:  # small, and the map that was drawn
        assert shown_map.size == (384, 384)
        assert max(abs(low - 90) for low, _ in shown_map.getextrema()) <= 2
    assert "abcdef" in image["alt"]
    assert "lowers the logit by at most 3.2" in image["alt"]
    assert "the malignant film with the lowest score" in shown.get_text()
    assert shown.select_one("[data-source='audit.json']").get_text() == "3.2"


def test_without_maps_or_with_maps_of_other_arms_nothing_is_shown(page, tmp_path):
    assert occlusion(load_results(page.study, page.out, page.data)) is None
    out = with_maps(page, tmp_path / "out", ENTRY | {"arm": "nobody"}, ENTRY | {"file": "lost.png"})
    assert occlusion(load_results(page.study, out, page.data)) is None
