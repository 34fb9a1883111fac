"""RingRift: rules, players, learning and the stages of the training loop. Never imports Dagster."""

import os

# Threads of torch that spin while they wait make a call a hundred times slower as soon as something else wants a core
# (measured: 700 ms instead of 6 ms for four positions). OpenMP reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
