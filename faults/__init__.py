"""The promises of a site under faults, each with the campaign that tries to break it.

Run: python -m faults [NAMES] [--full] [--again] [--seed 0] [--size N] [--kept] [--list] [--report FILE]

A campaign is a value ``Campaign`` (``faults.campaign``) in the tuple ``CAMPAIGNS`` of any module of this package; a
module is found by being here, so nothing else needs to be told of it. It has

- ``name``: by which the command line and the tests call it,
- ``promise``: the row of the report,
- ``what``: what is done to break it, in words,
- ``run(size, seed, folder) -> Result``: does so ``size`` times in an empty folder that exists and is removed
  afterwards; the same size and seed do the same, as far as the clock lets them,
- ``small`` and ``full``: the sizes of the test suite (seconds) and of ``make faults``,
- processes, if it has any, from ``faults.processes``: they end with the campaign, whatever ends that,
- ``missing() -> str | None``: which tool or right this machine lacks for it, None if it has all.

There is one implementation, whatever its size. The test suite runs the small one, in a file of its own in
``tests/faults`` (the files of one campaign take less than 15 seconds together)::

    def test_a_killed_site_loses_and_repeats_nothing(promise):
        promise("crash")  # skips with the reason where a tool is missing; asserts that it holds

and ``promise(name)`` returns the ``Result``, so that a test can look at its counts too.

``make faults`` runs the full ones and keeps each result as JSON in ``runs/faults``; one that is there is not run again
unless asked (``--again``). ``--report`` writes the results as a page; with ``--kept`` nothing is run for it.
"""
