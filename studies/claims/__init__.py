"""What the notebooks claim, and can't show within their minutes: each claim an experiment of its own."""
