"""Drivers that perform what nodes decide."""
