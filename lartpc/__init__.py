"""Differentiable simulation and calibration of liquid-argon time projection chambers."""

__version__ = "0.1.0"
