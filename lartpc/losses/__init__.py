"""What a fit minimises: likelihood, residuals, losses between lists of hits."""
