"""The same steps and passes as the plain code, faster on a CPU."""
