"""How it is minimised: calibrate, scan, forecast; optimizers, errors, results."""
