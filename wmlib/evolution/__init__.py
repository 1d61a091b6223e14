"""How C is found: CMA-ES, and the coordinates in which it searches."""

from wmlib.evolution.advantage import advantages, telling_moments
from wmlib.evolution.cmaes import Judge, evolve, scores_in
from wmlib.evolution.space import RIDGE, SearchSpace, fitted_space

__all__ = [
    "RIDGE",
    "Judge",
    "SearchSpace",
    "advantages",
    "evolve",
    "fitted_space",
    "scores_in",
    "telling_moments",
]
