"""Deadlines follow from what was measured: nobody has to guess one, and nobody's guess turns into a silent hang."""

import re

import pytest
from pydantic import BaseModel

from gossamer.runtime.federation_file import FederationSettings
from gossamer.runtime.site_folder import SiteSettings

A_TIME = re.compile(r"timeout|deadline|patience|wait|retry|retries|keepalive|expire|_s$|_ms$|seconds|minutes|hours")


def keys_of(settings):
    """Of a settings file and of all tables in it."""
    for name, field in settings.model_fields.items():
        yield name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from keys_of(inner)


@pytest.mark.parametrize("settings", [SiteSettings, FederationSettings])
def test_no_key_of_a_file_that_people_edit_is_a_time_to_wait(settings):
    keys = list(keys_of(settings))
    assert len(keys) > 5
    assert [key for key in keys if A_TIME.search(key)] == []
