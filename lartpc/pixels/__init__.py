"""The pixel readout: which pixels see a cloud, and what current it induces on them."""
