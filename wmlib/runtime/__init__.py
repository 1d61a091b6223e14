"""What a run stands on: files, log, signals, processor, seeds, jobs.

Nothing is imported here: game processes use parts of this folder, and are to load no torch.
"""
