"""Files are written whole or not at all, and read as plain values."""

import json

import numpy as np
import pytest
import yaml

from osteotl.files import read_yaml, write_bytes, write_json


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fails(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, fails)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_holds_no_nan_and_no_numpy(tmp_path):
    path = write_json(tmp_path / "a.json", {"a": np.float64("nan"), "b": np.arange(2), 3: (np.int64(1), float("inf"))})
    assert json.loads(path.read_text()) == {"a": None, "b": [0, 1], "3": [1, None]}


def test_what_json_cannot_hold_is_named():
    with pytest.raises(TypeError, match="object"):
        write_json("unused.json", {"a": object()})


def test_yaml_builds_plain_values_only(tmp_path):
    (tmp_path / "words.yaml").write_text("figure: {shown: ['a', 1, 0.5, null, true]}\n")
    assert read_yaml(tmp_path / "words.yaml") == {"figure": {"shown": ["a", 1, 0.5, None, True]}}
    (tmp_path / "code.yaml").write_text("!!python/object/apply:os.getcwd []\n")
    with pytest.raises(yaml.constructor.ConstructorError):
        read_yaml(tmp_path / "code.yaml")
