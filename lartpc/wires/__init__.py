"""From clouds to waveforms of wires: field response, electronics, noise, the wire readout."""
