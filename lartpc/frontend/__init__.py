"""From currents to reads and ADC counts."""
