"""From charge at the anode to what pixels see of it."""
