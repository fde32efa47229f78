"""Drivers that perform what nodes decide: a simulation on a virtual clock, and the service of one hospital."""
