"""No word that is planted in a patient's files comes out where it must not."""

import base64
import gzip

from faults.privacy_tokens import forms, hits


def test_no_planted_word_comes_out(promise):
    counts = promise("privacy").counts
    assert counts["words"] >= 200
    assert counts["errors"] >= 30


def test_the_search_finds_a_word_in_every_form():
    words = [b"name=ZQpatient0001", "zqpatient".encode("utf-16-le"), gzip.compress(b"x" * 99 + b"zqpatient7")]
    words += [base64.b64encode(bytes(k) + b"zqpatient0001 and more") for k in range(5)]
    words += [b"zqpatient0001".hex().encode()]
    assert all(hits(word) == ["zqpatient"] for word in words)
    assert hits(b"zq patient") == []
    assert all(len(form) >= 4 for form in forms("zqroi"))
