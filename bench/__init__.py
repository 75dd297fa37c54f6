"""How fast the console is, as ratios against the physical limit measured in the same run."""
