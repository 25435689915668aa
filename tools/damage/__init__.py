"""Parts of damage_checkpoint.py: files and checkpoints that can be changed, and the kinds of damage by what they damage."""
