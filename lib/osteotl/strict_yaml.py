"""YAML written by people, perhaps by strangers: bounded in size, depth and repetition, each key once, no tags.

Dates stay text, since nothing here is a date; `<<` is a key like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from osteotl.files import read_bounded

MOST_BYTES = 2_000_000
MOST_NODES = 100_000  # with every alias written out
MOST_DEPTH = 40


class YamlError(ValueError):
    """The file cannot be used; the message is one sentence."""


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates and merge keys; a key that stands twice is refused, for YAML keeps the last."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] not in ("timestamp", "merge")]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlError(f"line {line}: a list or mapping stands where a name must; write name: value")
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise YamlError(f"line {line}: {key!r} is named twice (first on line {seen[key]}); each name once")
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    if len(text) <= 40 and abs(value := loader.construct_yaml_int(node)) < 2**63:
        return value
    shown = f"{text[:40]} ..." if len(text) > 40 else text
    raise YamlError(
        f"line {node.start_mark.line + 1}: the number {shown} is beyond 2^63; put it in quotes if it is text"
    )


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(path: str | Path) -> Any:
    """The content of a YAML file.

    Raises
    ------
    OSError
        The file cannot be opened.
    YamlError
        It is no regular file, too large, no UTF-8 text, or what `parse_yaml` refuses.
    """
    try:
        text = read_bounded(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(f"not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except ValueError as error:
        raise YamlError(str(error)) from error
    return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    """The content of a YAML text.

    Raises
    ------
    YamlError
        Not YAML; nested too deeply; too long, with aliases written out; a key twice; a tag; a number with thousands of
        digits.
    """
    try:
        _check_extent(text)
        return yaml.load(text, Loader=_Loader)
    except YamlError:
        raise
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {' '.join(str(error).split())[:300]}") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        # PyYAML's own constructors raise these on values that look like a kind which they are not
        raise YamlError(f"a value cannot be read ({' '.join(str(error).split())[:200]}); put it in quotes") from error


def _check_extent(text: str) -> None:
    """Refuse what would take long or much memory, before anything is built."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise YamlError(f"line {line}: *{event.anchor} refers to nothing before it, or to what it stands in")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.NodeEvent):
            if (tag := getattr(event, "tag", None)) not in (None, "!", "tag:yaml.org,2002:str"):
                raise YamlError(f"line {line}: the tag {tag!r} is not used here; write the value without it")
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, total))
            elif event.anchor:
                sizes[event.anchor] = 1
            total += 1
        if len(open_nodes) > MOST_DEPTH:
            raise YamlError(f"line {line}: nested more than {MOST_DEPTH} levels deep")
        if total > MOST_NODES:
            raise YamlError(
                f"line {line}: more than {MOST_NODES:,} entries, those of aliases (*name) counted each time"
            )
