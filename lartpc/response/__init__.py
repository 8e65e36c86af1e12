"""From clouds shared on a lattice in time to currents of channels."""
