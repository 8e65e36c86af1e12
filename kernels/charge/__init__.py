"""From deposits to charge at the anode."""
