from __future__ import annotations

import pytest

from comity.architectures.definition import Task
from comity.architectures.hierarchies import hierarchies_of
from comity.errors import BadSchema
from comity.schema import parse_schema


def task(written):
    schema = parse_schema(
        {
            "columns": {
                "town": {
                    "role": "quasi_identifier",
                    "type": "category",
                    "values": ["a", "b"],
                    "hierarchy": written,
                },
                "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 9},
                "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
            }
        },
        where="a test",
    )
    return Task(schema=schema, target="ill", positive="yes", id="id")


@pytest.mark.parametrize("mark", [";", ",", "\t"])
def test_reads_the_schemas_files_whatever_separates_their_columns(tmp_path, mark):
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "town.csv").write_text(f"a{mark}x{mark}*\nb{mark}x{mark}*\n")
    found = hierarchies_of(task("trees/town.csv"), tmp_path)
    assert found["town"].rows == (("a", "x", "*"), ("b", "x", "*"))
    assert len(found["age"].rows) == 10


@pytest.mark.parametrize(
    "written", ["/etc/passwd", "C:\\trees\\town.csv", "\\town.csv", "\\\\host\\share\\x.csv", "C:x"]
)
def test_an_absolute_path_is_refused(tmp_path, written):
    with pytest.raises(BadSchema, match="absolute path"):
        hierarchies_of(task(written), tmp_path)


@pytest.mark.parametrize(
    "written", ["../town.csv", "trees/../../town.csv", "..\\town.csv", "trees/../town.csv"]
)
def test_a_path_out_of_the_folder_is_refused(tmp_path, written):
    (tmp_path / "town.csv").write_text("a;*\nb;*\n")
    folder = tmp_path / "schema"
    folder.mkdir()
    with pytest.raises(BadSchema, match=r"leaves the folder by '\.\.'"):
        hierarchies_of(task(written), folder)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "town.csv").write_text("a;*\nb;*\n")
    folder = tmp_path / "schema"
    folder.mkdir()
    (folder / "town.csv").symlink_to(tmp_path / "town.csv")
    with pytest.raises(BadSchema, match="link that leads out"):
        hierarchies_of(task("town.csv"), folder)


def test_files_that_are_missing_or_no_hierarchy_are_named(tmp_path):
    with pytest.raises(BadSchema, match="is not at"):
        hierarchies_of(task("town.csv"), tmp_path)
    (tmp_path / "town.csv").write_text("a;x;*\nb;*\n")
    with pytest.raises(BadSchema, match=r"'town' cannot be used: .*town.csv: line 2 has 2 columns"):
        hierarchies_of(task("town.csv"), tmp_path)
    with pytest.raises(BadSchema, match="no file name"):
        hierarchies_of(task("a\0.csv"), tmp_path)
