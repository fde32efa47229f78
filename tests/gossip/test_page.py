"""The page on gossip shows what its own commands print."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "gossip.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def printed_by(command):
    with redirect_stdout(StringIO()) as output:
        exec(command, {})
    return output.getvalue()


def test_table_of_topologies_is_what_its_command_prints():
    rows = printed_by(COMMANDS[0])
    assert rows.count("\n") == 10
    assert rows in PAGE


def test_schedule_for_five_named_sites_is_built():
    assert printed_by(COMMANDS[1]) == "base 5 ('birch',)\n"


def test_page_names_every_algorithm_and_topology():
    from gossamer.gossip import ALGORITHMS, TOPOLOGIES

    assert all(f"| `{name}` |" in PAGE for name in ALGORITHMS)
    assert all(f"- **{name}**:" in PAGE for name in TOPOLOGIES)
