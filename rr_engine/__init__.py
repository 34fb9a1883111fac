"""RingRift: rules, players, learning and the stages of the training loop. Never imports Dagster."""

import os

# How long threads of torch spin while they wait. For ever, calls become a hundred times slower as soon as something
# else wants a core (measured: 700 ms instead of 6 ms for four positions); not at all, training is a third slower.
# OpenMP reads this once, when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
