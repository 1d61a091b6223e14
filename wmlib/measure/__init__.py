"""What can be measured: V and M on recorded games, scores, and how far a dream may be believed."""

from wmlib.measure.diagnostics import examine_mdnrnn, examine_vae, linear_probe, open_loop_drift
from wmlib.measure.evaluation import bootstrap_interval, evaluate, evaluate_policy, paired
from wmlib.measure.fidelity import (
    EndReport,
    agreement,
    examine_ends,
    graded_controllers,
    measure_fidelity,
)
from wmlib.measure.temperature import PAPER, as_text, read_table

__all__ = [
    "PAPER",
    "EndReport",
    "agreement",
    "as_text",
    "bootstrap_interval",
    "evaluate",
    "evaluate_policy",
    "examine_ends",
    "examine_mdnrnn",
    "examine_vae",
    "graded_controllers",
    "linear_probe",
    "measure_fidelity",
    "open_loop_drift",
    "paired",
    "read_table",
]
