"""What a hospital may keep of an object: the Basic Profile as an allowlist, and pseudonyms."""
