"""The campaigns of the package ``faults``, in their small size."""

import pytest
from faults.registry import campaigns


@pytest.fixture
def promise(tmp_path):
    """Runs a campaign of the package ``faults`` in its small size, and asserts that it holds."""

    def keep(name):
        campaign = campaigns()[name]
        if (lack := campaign.missing()) is not None:
            pytest.skip(lack)
        result = campaign.run(campaign.small, 0, tmp_path)
        assert result.holds, result.figure
        return result

    return keep
