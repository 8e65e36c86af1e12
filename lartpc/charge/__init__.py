"""From deposits to clouds of charge at the anode."""
