"""From charge on a lattice in time to currents."""
