"""The adjoint of each kernel, in the file of the same name."""
