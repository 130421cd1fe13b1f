"""``reports frame``: all records as one tidy table."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from experiments.study import Study
from reports import frame
from reports.__main__ import main
from tests.made_up import edit, make_study, write_study
from transmix.common.errors import UserError

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    study = make_study(tmp_path_factory.mktemp("results"), "--scale", "tiny", "--rows", "deit_t", "--seeds", "2")
    write_study(study, (1.0, 2.0))
    return study


def test_a_record_is_a_line_and_its_values_are_columns(study):
    found = frame(study.results)
    assert sorted(found["id"]) == sorted(run.id for run in study.plan())
    line = found.set_index("name").loc["table1.deit_t.transmix.seed1"]
    assert (line["row"], line["method"], line["seed"], line["wall_seconds"]) == ("deit_t", "transmix", 1, 125.0)
    assert (line["metrics.top1"], line["settings.label_rule"]) == (52.0, "mean")
    assert (line["data.images.val"], line["environment.device"]) == (1000, "CPU (x86_64)")
    swept = found.set_index("name").loc["occlusion.deit_t.transmix.seed1"]
    assert swept["needs"] == line["id"]
    assert swept["metrics.curves.random.area"] == pytest.approx(52 * 0.55 + 0.45)  # ten points, nine of two draws
    assert swept["settings.tenths"].startswith("[")
    assert pandas.isna(swept["metrics.top1"])
    means = found[found["table"] == "table1"].groupby("method")["metrics.top1"].mean()
    assert means.to_dict() == {"baseline": 50.0, "transmix": 51.5}


def test_columns_have_a_type_each_and_parts_stand_together(study):
    found = frame(str(study.results))
    kinds = {name: str(found[name].dtype) for name in ("seed", "metrics.top1", "metrics.parameters", "data.embedded")}
    assert kinds == {
        "seed": "Int64",
        "metrics.top1": "float64",
        "metrics.parameters": "Int64",
        "data.embedded": "boolean",
    }
    parts = [name.partition(".")[0] for name in found if "." in name]
    assert list(dict.fromkeys(parts)) == ["settings", "data", "metrics", "environment"]
    assert parts == sorted(parts, key=["settings", "data", "metrics", "environment"].index)
    assert not any(found[name].map(lambda value: isinstance(value, list | dict)).any() for name in found)


def test_the_command_writes_csv_and_says_what_it_could_not_read(study, tmp_path, monkeypatch, capsys):
    path = tmp_path / "out" / "all.csv"
    monkeypatch.setattr("sys.argv", ["reports", "frame", str(study.results), "--csv", str(path)])
    main()
    assert capsys.readouterr().out.startswith(f"{path}: {len(study.plan())} records, ")
    assert list(pandas.read_csv(path)["id"]) == list(frame(study.results)["id"])
    broken = study.plan()[0].folder / "record.json"
    whole = broken.read_bytes()
    broken.write_text("{")
    monkeypatch.setattr("sys.argv", ["reports", "frame", str(study.results)])
    main()
    broken.write_bytes(whole)
    output = capsys.readouterr()
    assert len(pandas.read_csv(io.StringIO(output.out))) == len(study.plan()) - 1
    assert output.err.startswith(f"warning: record {broken} is not readable")


def test_texts_of_any_kind_are_written(study, tmp_path, monkeypatch):
    folder = study.plan()[0].folder
    whole = (folder / "record.json").read_bytes()
    edit(folder, lambda record: record["run"].update(command="run 'a,\"b' \udcff\x1b\n"))
    path = tmp_path / "all.csv"
    monkeypatch.setattr("sys.argv", ["reports", "frame", str(study.results), "--csv", str(path)])
    main()
    (folder / "record.json").write_bytes(whole)
    assert len(pandas.read_csv(path)) == len(study.plan())


def test_parquet_without_its_library_is_one_line(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    monkeypatch.setattr("sys.argv", ["reports", "frame", str(study.results), "--parquet", str(tmp_path / "a.parquet")])
    with pytest.raises(UserError, match=r"^--parquet needs pyarrow, which is not installed: "):
        main()
    assert list(tmp_path.iterdir()) == []


def test_importing_the_name_imports_no_pandas():
    code = "import sys; from reports import frame; print('pandas' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout == "False\n"
