"""Files people write are read strictly, and errors help."""

import pytest
from pydantic import BaseModel, ConfigDict

from gossamer.documents import parse_json, parse_toml
from gossamer.errors import ConfigurationError, DatasetError, UnknownKeyError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    local_steps: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    parts: dict[str, Inner] = {}
    several: tuple[Inner, ...] = ()


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "", "{"], ids=["nested", "digits", "nothing", "half"])
def test_what_python_does_not_take_for_json_is_told_like_what_is_none(text):
    with pytest.raises(DatasetError, match="it: wanted JSON; found text that is none"):
        parse_json(text, Outer, "it", DatasetError)


def test_an_unknown_key_names_the_nearest_known_one():
    with pytest.raises(UnknownKeyError, match=r"study x\.toml: unknown key 'tilte'; did you mean 'title'\?"):
        parse_toml("title = 'a'\ntilte = 'b'", Outer, "study x.toml")


def test_an_unknown_key_in_a_table_and_in_a_list_is_found():
    with pytest.raises(UnknownKeyError, match=r"'parts\.a\.local_step'; did you mean 'local_steps'"):
        parse_toml("title = 'a'\n[parts.a]\nlocal_step = 2", Outer, "it")
    with pytest.raises(UnknownKeyError, match=r"'several\.0\.steps'; did you mean 'local_steps'"):
        parse_toml("title = 'a'\n[[several]]\nsteps = 2", Outer, "it")


def test_a_wrong_value_says_where_what_and_how_many_more():
    with pytest.raises(ConfigurationError, match=r"it: title: .*string; found 3 \(and 1 more\)"):
        parse_toml("title = 3\nparts = 4", Outer, "it")


def test_text_that_is_no_document_is_named_and_the_error_class_is_the_callers():
    with pytest.raises(DatasetError, match="wanted JSON"):
        parse_json("{", Outer, "dataset.json", DatasetError)
    with pytest.raises(ConfigurationError, match="wanted TOML"):
        parse_toml("= 1", Outer, "it")


def test_text_that_stands_in_a_document_about_patients_is_not_repeated():
    with pytest.raises(DatasetError, match=r"parts: .*; found other text$"):
        parse_json('{"title": "a", "parts": "Doe^John"}', Outer, "dataset.json", DatasetError)
    with pytest.raises(DatasetError, match=r"title: .*; found other keys \(and 1 more\)$"):
        parse_json('{"parts": {"Doe^John": 1}}', Outer, "dataset.json", DatasetError)
    with pytest.raises(DatasetError, match="found 3"):
        parse_json('{"title": 3}', Outer, "dataset.json", DatasetError)
