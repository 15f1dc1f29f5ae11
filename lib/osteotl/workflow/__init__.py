"""Run one notebook; what its result depends on."""
