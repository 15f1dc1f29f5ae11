"""When a step runs: records of what results depend on, and the runner of one notebook."""
