"""No mass of push-sum is lost or made."""


def test_loss_and_kills_neither_make_nor_lose_mass_and_without_the_ledger_they_do(promise):
    counts = promise("mass").counts
    assert counts["mass error"] <= 1e-9 < counts["median bias without ledger"]
