"""Performance and fidelity measurements, each file one command."""
