"""Arithmetic of decentralised averaging: tensors in, tensors out; no clock, socket or file."""
