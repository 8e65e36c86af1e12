"""Forward physics, one file a stage: per-thread bodies, launched on CPU or CUDA by `launch`."""
