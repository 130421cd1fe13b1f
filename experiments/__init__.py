"""What the paper runs: recipes by row and scale, the plan that orders them, and the records they leave.

Planning and records need the standard library only; torch is imported when a run starts.
"""
