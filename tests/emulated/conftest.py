from tests.emulated.device import device  # noqa: F401  (a fixture)
