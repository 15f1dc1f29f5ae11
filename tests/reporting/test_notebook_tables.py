"""Tables of a notebook for studies that lack a part."""

from osteotl.reporting import notebook_tables as show


def test_a_study_without_operating_points_has_empty_tables_of_them():
    """`thresholds_from: [validation]` and scores without validation films: no threshold can be found anywhere."""
    settings = {"arms": {"a": {}, "b": {}}}
    statistics = {
        "settings": settings,
        "arms": {"a": {"operating_points": {}}, "b": {"operating_points": {}}},
        "comparisons": {"b": {"operating_points": {}, "family": []}},
    }
    for table in (show.operating_points(statistics), show.differences(statistics)):
        assert table.empty
        assert list(table.index.names) == ["threshold from", "point", "arm"]
    assert show.mcnemar(statistics).empty
