"""Files of energy deposits, hits and packets."""
