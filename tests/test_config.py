"""Settings: where a value comes from, and what a fault in them says."""

from pathlib import Path

import pytest

from etl import cli, config
from etl.errors import ConfigError
from etl.settings import Range
from tests.conftest import ROOT


def write_config(folder: Path, text: str, name: str = "default") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def test_later_sources_win_and_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_config(tmp_path, "[input]\nbatch_size = 2\npromised_age = 2\n[privacy]\nk = 2\n")
    monkeypatch.setenv("HANDOVER_INPUT__PROMISED_AGE", "3")
    monkeypatch.setenv("HANDOVER_PRIVACY__K", "3")
    loaded = config.load(overrides={"privacy.k": "4"}, folder=folder)
    shown = config.as_text(loaded)
    assert loaded.values.input.batch_size == 2
    assert [shown[name] for name in ("input.delimiter", "input.batch_size", "input.promised_age", "privacy.k")] == [
        {"value": "auto", "origin": "default"},
        {"value": "2", "origin": (folder / "default.toml").as_posix()},
        {"value": "3", "origin": "environment variable"},
        {"value": "4", "origin": "command line"},
    ]


def test_half_of_a_range_keeps_the_other_half(tmp_path: Path) -> None:
    loaded = config.load(overrides={"quality.validity.target": "98"}, folder=write_config(tmp_path, ""))
    assert loaded.values.quality.validity == Range(target=98, minimum=97)
    assert config.as_text(loaded)["quality.validity"]["origin"] == "command line"


def test_all_faults_are_told_at_once_with_origin_and_nearest_name(tmp_path: Path) -> None:
    folder = write_config(tmp_path, '[input]\nbatch_sise = 5\n[privacy]\nk = "ten"\n')
    with pytest.raises(ConfigError) as caught:
        config.load(overrides={"quality.rejects_stop": "7"}, folder=folder)
    text = str(caught.value)
    assert "3 faults" in text
    assert "input.batch_sise" in text
    assert "did you mean input.batch_size?" in text
    assert "privacy.k (from " in text
    assert "default.toml" in text
    assert "quality.rejects_stop (from command line)" in text


def test_a_range_upside_down_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="minimum 99 is above target 98"):
        config.load(
            overrides={"quality.validity.target": "98", "quality.validity.minimum": "99"}, folder=write_config(tmp_path, "")
        )


def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOVER_INPUT__BATCHSIZE", "5")
    with pytest.raises(ConfigError, match="did you mean HANDOVER_INPUT__BATCH_SIZE"):
        config.load(folder=write_config(tmp_path, ""))


def test_an_unknown_environment_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"staging\.toml: there is no such environment; found in .*: default"):
        config.load("staging", folder=write_config(tmp_path, ""))


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"default\.toml: not readable as TOML"):
        config.load(folder=write_config(tmp_path, "[input\n"))


@pytest.mark.parametrize("environment", [path.stem for path in sorted((ROOT / "config").glob("*.toml"))])
def test_every_environment_of_the_project_loads(environment: str) -> None:
    assert config.load(environment, folder=ROOT / "config").environment == environment


def test_every_setting_says_what_it_is_for_and_numbers_have_a_unit() -> None:
    for name, field in config.setting_names().items():
        assert field.description, name
        if field.annotation in (int, float):
            extra = field.json_schema_extra or {}
            units = [extra.get("unit"), *(getattr(one, "json_schema_extra", {}).get("unit") for one in field.metadata)]
            assert any(units), f"{name} has no unit"


def test_a_list_is_taken_with_commas_or_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_config(tmp_path, '[mail]\nreceivers = ["a@x.example"]\n')
    assert config.load(folder=folder).values.mail.receivers == ("a@x.example",)
    for text in ("a@x.example, b@x.example", '["a@x.example", "b@x.example"]'):
        monkeypatch.setenv("HANDOVER_MAIL__RECEIVERS", text)
        assert config.load(folder=folder).values.mail.receivers == ("a@x.example", "b@x.example")


@pytest.mark.parametrize("address", ["ops", "ops@", "@x.example", "a@x.example\nBcc: b@x.example", "Ops <a@x.example>"])
@pytest.mark.parametrize("name", ["mail.sender", "mail.receivers"])
def test_what_is_no_mail_address_is_refused_and_named(name: str, address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{name}.* \(from command line\): .*write it as name@example\.org"):
        config.load(overrides={name: address}, folder=write_config(tmp_path, ""))


def test_signing_in_without_protection_is_refused_and_no_secret_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDOVER_MAIL__PASSWORD", "hunter2")
    folder = write_config(tmp_path, '[mail]\nuser = "handover"\nsecurity = "none"\n')
    with pytest.raises(ConfigError, match="in the clear") as caught:
        config.load(folder=folder)
    assert "hunter2" not in str(caught.value)
    assert "got" not in str(caught.value)


def test_a_secret_comes_from_the_folder_or_the_environment_and_is_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mail.password").write_text("from the folder\n", encoding="utf-8")
    (tmp_path / "other").write_text("not ours", encoding="utf-8")
    monkeypatch.setenv("HANDOVER_SECRETS", str(tmp_path))
    folder = write_config(tmp_path / "config", "")
    loaded = config.load(folder=folder)
    assert loaded.values.mail.password.get_secret_value() == "from the folder"
    assert config.as_text(loaded)["mail.password"] == {"value": "(set)", "origin": "secrets folder"}
    monkeypatch.setenv("HANDOVER_MAIL__PASSWORD", "from the environment")
    loaded = config.load(folder=folder)
    assert loaded.values.mail.password.get_secret_value() == "from the environment"
    assert "from the" not in str(config.as_text(loaded, private=True)["mail.password"]) + repr(loaded)


def test_a_secret_in_a_file_is_refused_without_quoting_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set HANDOVER_MAIL__PASSWORD or use the secrets folder") as caught:
        config.load(folder=write_config(tmp_path, '[mail]\npassword = "s3cret"\n'))
    assert "s3cret" not in str(caught.value)


def test_a_secrets_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOVER_SECRETS", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="HANDOVER_SECRETS: there is no such folder"):
        config.load(folder=write_config(tmp_path / "config", ""))


def test_private_values_are_for_the_terminal_only(tmp_path: Path) -> None:
    loaded = config.load(overrides={"mail.receivers": "ops@bank.example"}, folder=write_config(tmp_path, ""))
    assert config.as_text(loaded)["mail.receivers"]["value"] == "(set)"
    assert config.as_text(loaded, private=True)["mail.receivers"]["value"] == "ops@bank.example"


def test_a_fault_tells_the_unit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input\.promised_age \(from command line\): .*; got 'daily', unit: hours"):
        config.load(overrides={"input.promised_age": "daily"}, folder=write_config(tmp_path, ""))


VALUES = {"input.batch_size": ["1", "2", "3"], "input.promised_age": ["1.5", "2.5", "3.5"], "alerts.slow": ["no", "yes", "no"],
          "input.delimiter": [";", "|", ","], "runs.path": ["a", "b", "c"]}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_precedence_holds_for_every_type_of_setting(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section, key = name.split(".")
    in_file, in_variable, on_line = VALUES[name]
    folder = write_config(tmp_path, f"[{section}]\n{key} = {in_file if name == 'input.batch_size' else repr(in_file)}\n")
    shown = [config.as_text(config.load(folder=folder))[name]["value"]]
    monkeypatch.setenv(f"HANDOVER_{section.upper()}__{key.upper()}", in_variable)
    shown.append(config.as_text(config.load(folder=folder))[name]["value"])
    shown.append(config.as_text(config.load(overrides={name: on_line}, folder=folder))[name]["value"])
    assert shown == VALUES[name]


@pytest.mark.usefixtures("project")
def test_check_names_every_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/reference/companies.csv").unlink()
    assert cli.main(["config", "check", "--set", "mail.ca_file=none.pem"]) == 2
    told = capsys.readouterr().err
    assert "input.path (from config/default.toml): data/customers.csv: there is no such file" in told
    assert "references.companies (from default)" in told
    assert "mail.ca_file (from command line)" in told
    assert "references.postcodes" not in told


@pytest.mark.usefixtures("project")
def test_check_says_when_all_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/customers.csv").touch()
    assert cli.main(["config", "check"]) == 0
    assert "are in order" in capsys.readouterr().out
