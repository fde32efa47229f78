"""From nothing to a federation file that two sites have approved, as hospital IT types it."""

import pytest


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_sites_make_keys_exchange_cards_and_approve_the_same_bytes(work, run_main):
    ids = {}
    for name, address in (("mount-sinai", ["--address", "gossamer.example:7443"]), ("unito", [])):
        status, out, err = run_main("site", "init", "--name", name, "--data", ".", "--folder", name, *address)
        assert status == 0, err
        assert [len(group) for group in out.split()] == [4] * 16
        assert "over the phone" in err
        ids[name] = out.split()
    assert run_main("federation", "new", "fed.toml", "--structures", "Brainstem, Parotid_L")[0] == 0
    for name in ids:
        status, out, err = run_main("federation", "add-site", "fed.toml", f"{name}/card.toml")
        assert status == 0, err
    hashes = set()
    for name in ids:
        status, out, err = run_main("federation", "approve", "fed.toml", "--folder", name)
        assert status == 0
        assert f"Approved as site {name}" in err
        assert all(group in out for groups in ids.values() for group in groups)
        hashes.add(next(line for line in err.splitlines() if line.startswith("federation file")))
    assert len(hashes) == 1
    assert "dials out" in run_main("federation", "show", "fed.toml")[1]


def test_a_site_says_its_id_again_and_renews_under_it(work, run_main):
    _, made, _ = run_main("site", "init", "--name", "unito", "--data", ".")
    assert run_main("site", "renew")[0] == 0
    status, again, err = run_main("site", "id")
    assert (status, again) == (0, made)
    assert "good until" in err


def test_a_second_init_leaves_the_first_key(work, run_main):
    run_main("site", "init", "--name", "unito", "--data", ".")
    key = (work / "gossamer-site/identity.key").read_bytes()
    status, _, err = run_main("site", "init", "--name", "unito", "--data", ".")
    assert status == 2
    assert "found a site" in err
    assert (work / "gossamer-site/identity.key").read_bytes() == key


def test_a_stranger_to_the_federation_cannot_approve(work, run_main):
    run_main("site", "init", "--name", "unito", "--data", ".")
    run_main("federation", "new", "fed.toml")
    status, _, err = run_main("federation", "approve", "fed.toml")
    assert status == 4
    assert "add-site" in err


def test_a_misspelt_structure_is_refused_with_the_nearest(work, run_main):
    status, _, err = run_main("federation", "new", "fed.toml", "--structures", "Brainsten")
    assert status == 3
    assert "Brainstem" in err
    assert not (work / "fed.toml").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--name", "St. Mary's", "letters, digits"),
        ("--address", "nowhere", "host:port"),
        ("--listen", ":1", "host:port"),
    ],
)
def test_a_name_or_address_that_cannot_be_makes_no_site(work, run_main, option, value, words):
    given = {"--name": "unito", "--data": "."} | {option: value}
    status, _, err = run_main("site", "init", *(text for pair in given.items() for text in pair))
    assert status == 4
    assert words in err
    assert list(work.iterdir()) == []
