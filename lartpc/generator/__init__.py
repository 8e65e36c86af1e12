"""Particle samples to try things with."""
