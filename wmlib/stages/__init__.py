"""What a run does, stage by stage, and what it leaves in its folder."""
