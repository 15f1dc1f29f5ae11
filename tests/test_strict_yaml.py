"""YAML of strangers: what is refused, in one sentence and soon."""

import os
import time

import pytest

from osteotl import strict_yaml
from osteotl.strict_yaml import YamlError, load_yaml, parse_yaml

ALIASES = "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)  # 10 + 100 + ... + 10^8 entries


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 5_000 + "]" * 5_000, "nested more than 40 levels"),
        ("{a: " * 5_000 + "1" + "}" * 5_000, "nested more than 40 levels"),
        ("\n".join(f"{' ' * i}a:" for i in range(1_000)), "nested more than 40 levels"),
        (ALIASES, "more than 100,000 entries"),
        ("seeds: [" + ", ".join(map(str, range(200_000))) + "]", "more than 100,000 entries"),
        ("a: &a [*a]", "refers to nothing before it, or to what it stands in"),
        ("a: *b", "refers to nothing"),
        ("a: !!timestamp x", "tag"),
        ("a: !!python/object/apply:os.system [echo]", "tag"),
        ("a: !!int x", "tag"),
        ("? [a, b]\n: 1", "a list or mapping stands where a name must"),
        ("? {a: b}\n: 1", "a list or mapping stands where a name must"),
        ("a: 1\na: 2", "line 2: 'a' is named twice (first on line 1)"),
        ("a: 1\nb: {c: 1, c: 2}", "line 2: 'c' is named twice"),
        ("a: " + "9" * 5_000, "beyond 2^63"),
        ("a: 0x" + "f" * 5_000, "beyond 2^63"),
        ("a: 10000000000000000000000", "beyond 2^63"),
        ("a: 1" + ":59" * 5_000, "beyond 2^63"),
        ("a: [", "not YAML"),
        ("a: \x00", "not YAML"),
        ("--- a\n--- b", "not YAML"),
        ("a: @", "not YAML"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_refused(text, what):
    began = time.perf_counter()
    with pytest.raises(YamlError) as caught:
        parse_yaml(text)
    assert time.perf_counter() - began < 20
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("title: 2024-13-45", {"title": "2024-13-45"}),
        ("date: 2024-02-03", {"date": "2024-02-03"}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ("a: !!str 1", {"a": "1"}),
        ("a: 0x1f\nb: 1_000\nc: 1.5e+3\nd: .inf", {"a": 31, "b": 1000, "c": 1500.0, "d": float("inf")}),
        ("<<: 1", {"<<": 1}),
        ("", None),
    ],
)
def test_what_is_read(text, content):
    assert parse_yaml(text) == content


def test_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xfc")
    (tmp_path / "large.yaml").write_bytes(b"#" * (strict_yaml.MOST_BYTES + 1))
    assert load_yaml(tmp_path / "bom.yaml") == {"a": 1}
    for name, what in (("pipe", "no regular file"), ("latin", "not UTF-8"), ("large", "larger than 2 MB")):
        with pytest.raises(YamlError, match=what):
            load_yaml(tmp_path / f"{name}.yaml")
    with pytest.raises(YamlError, match="no regular file"):
        load_yaml("/dev/zero")
