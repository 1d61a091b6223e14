"""Games played by other processes and other machines."""

from wmlib.cluster.crew import Crew
from wmlib.cluster.elsewhere import Far
from wmlib.cluster.order import Dreaming, Rules
from wmlib.cluster.scheduler import Cluster, crew_at

__all__ = ["Cluster", "Crew", "Dreaming", "Far", "Rules", "crew_at"]
