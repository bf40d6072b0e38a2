"""Find faults in model files and correct shifted row numbers."""
