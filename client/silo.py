"""A client whose users are there already, with nothing on disk but its ledger.

users (vectors, histories)  +  door  ->  what :mod:`client.answering` needs

For embeddings that somebody brings along, and for populations that are made up: everything is
answered through the same door as a region with events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from client.contributions import Users
from client.experiment import Experiment
from privacy.door import Door
from privacy.policy import Policy
from privacy.window import Window
from strategies.cluster_map import ClusterMap
from strategies.public_catalogue import PublicCatalogue
from strategies.questions import ListFeedback


@dataclass(eq=False, kw_only=True)
class Silo:
    """One client with its users and its door.

    Attributes
    ----------
    everybody : Users
        Private.
    door : Door
    catalogue : PublicCatalogue
        The items that users' histories are about, and the space of their vectors.
    pushed : ClusterMap, optional
        The map that was pushed back.
    experiment : Experiment, optional
        What the users' feedback is about.
    """

    everybody: Users = field(repr=False)
    door: Door
    catalogue: PublicCatalogue
    pushed: ClusterMap | None = None
    experiment: Experiment | None = None

    @property
    def encoder_fingerprint(self) -> str:
        """Of the model that made the vectors."""
        return self.catalogue.encoder

    @property
    def catalogue_fingerprint(self) -> str:
        """Of the public items."""
        return self.catalogue.fingerprint

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.catalogue.item_ids)

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(self.catalogue.vectors.shape[1])

    def users_for(self, policy: Policy, window: Window) -> Users:
        """Return all users: what is known of them does not depend on the window. Private."""
        return self.everybody

    def users_with_feedback(
        self, question: ListFeedback, policy: Policy, window: Window | None
    ) -> Users:
        """Return all users: they come with their feedback. Private."""
        return self.everybody

    def keep(self, pushed: ClusterMap) -> None:
        """Keep the pushed-back map."""
        self.pushed = pushed
