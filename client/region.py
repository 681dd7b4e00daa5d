"""Everything one client has: its people's profiles, its items, its door.

agent settings  ->  events, catalogue, encoder  ->  profiles;  policy, ledger  ->  door
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from client.catalogue import Catalogue, read_catalogue
from client.catalogue_encoding import encode_catalogue, encode_interests
from client.embedding_cache import EmbeddingCache
from client.encoder import Encoder
from client.errors import RecommendationError, SettingsError
from client.events import read_events
from client.experiment import Arm, Assignment, Experiment, own_secret
from client.feedback import read_feedback
from client.feedback_store import FeedbackStore, ShownList
from client.interest_profile import InterestProfiles, build_profiles
from client.kept_weights import kept_or_tuned
from client.recommender import Recommender
from client.settings import AgentSettings, read_settings
from client.stated_interests import StatedInterests
from client.tuning import tuned, usual_fusion
from privacy.door import Door
from privacy.ledger import Ledger, system_clock, witness_beside
from privacy.mechanism import NoiseSource
from privacy.policy import Policy, read_policy
from privacy.query import FloatArray
from privacy.window import Window, WindowEvents
from strategies.cluster_map import ClusterMap
from strategies.questions import ListFeedback


@dataclass(frozen=True)
class Region:
    """One client: a region's silo of users. Parts are loaded when first needed."""

    settings: AgentSettings

    @property
    def door(self) -> Door:
        """The one way out, with the region's policy as it stands now, and its ledger."""
        policy = read_policy(self.settings.policy)
        if policy.region != self.settings.region:
            raise SettingsError(
                f"Policy {self.settings.policy} is for region {policy.region!r}, the agent is "
                f"{self.settings.region!r}. Nothing was started."
            )
        settings = self.settings
        ledger = Ledger(
            settings.ledger,
            policy,
            key=settings.signing_key,
            witness=settings.witness or witness_beside(settings.ledger),
            clock=system_clock if settings.simulation is None else lambda: settings.moment,
            simulated=settings.simulation is not None,
        )
        return Door(ledger, NoiseSource(settings.noise, settings.noise_seed))

    @cached_property
    def catalogue(self) -> Catalogue:
        """The public items."""
        return read_catalogue(self.settings.catalogue)

    @cached_property
    def encoder(self) -> Encoder:
        """The language model; loaded only if the cache lacks a text."""
        return Encoder(self.settings.encoder, self.settings.pooling)

    @cached_property
    def item_vectors(self) -> FloatArray:
        """Centred unit vectors of the items: float32, shape (n_items, d)."""
        return encode_catalogue(self.catalogue, self.encoder, EmbeddingCache(self.settings.cache))

    @property
    def encoder_fingerprint(self) -> str:
        """Of the language model."""
        return self.encoder.fingerprint

    @property
    def catalogue_fingerprint(self) -> str:
        """Of the public items."""
        return self.catalogue.fingerprint()

    @property
    def n_items(self) -> int:
        """How many public items there are."""
        return len(self.catalogue.item_ids)

    @property
    def dim(self) -> int:
        """Dimensions of the interest vectors."""
        return int(self.item_vectors.shape[1])

    def keep(self, pushed: ClusterMap) -> None:
        """Keep the pushed-back map on disk."""
        pushed.save(self.settings.cluster_map)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Usable events of this region's users, oldest first. Private."""
        items = frozenset(self.catalogue.item_ids)
        return read_events(self.settings.events, items, self.settings.rejected_events)

    @cached_property
    def profiles(self) -> InterestProfiles:
        """The users' interests, from all their events. Private."""
        return self._build_profiles(self.events)

    @property
    def everybody(self) -> InterestProfiles:
        """The users, as answers know them where their policy does not narrow it. Private."""
        return self.profiles

    def users_for(self, policy: Policy, window: Window) -> InterestProfiles:
        """Return the profiles that answers charged to ``window`` may be made of. Private."""
        if policy.window.events is WindowEvents.ALL:
            return self.profiles
        when = self.events.timestamp
        return self._build_profiles(self.events[(when >= window.start) & (when < window.end)])

    def users_with_feedback(
        self, question: ListFeedback, policy: Policy, window: Window | None
    ) -> InterestProfiles:
        """Return the same users with what came of their lists, read anew. Private.

        Without a window, everybody and everything.
        """
        users = self.profiles if window is None else self.users_for(policy, window)
        if self.feedback_store is None or self.assignment is None:
            return users
        feedback = read_feedback(
            self.feedback_store,
            self.assignment,
            question,
            users.user_ids,
            moment=self.settings.moment,
            within=window if policy.window.events is WindowEvents.WINDOW else None,
        )
        return replace(users, feedback=feedback)

    @property
    def experiment(self) -> Experiment | None:
        """The experiment that is on."""
        return self.settings.experiment

    @cached_property
    def assignment(self) -> Assignment | None:
        """Who gets which arm of the experiment that is on."""
        if self.experiment is None:
            return None
        return Assignment(self.experiment, own_secret(self.settings.secret))

    @property
    def feedback_store(self) -> FeedbackStore | None:
        """Where it is kept what was shown to whom, if it is."""
        if self.settings.feedback is None:
            return None
        return FeedbackStore(self.settings.feedback, self.settings.feedback_days)

    def _build_profiles(self, events: pd.DataFrame) -> InterestProfiles:
        return build_profiles(
            events,
            self.catalogue.item_ids,
            self.item_vectors,
            as_of=self.settings.moment,
            half_life_days=self.settings.half_life_days,
        )

    @cached_property
    def recommender(self) -> Recommender:
        """Ranks items for this region's users, from the map that was pushed back.

        Raises
        ------
        RecommendationError
            If no map has been pushed back yet.
        """
        path = self.settings.cluster_map
        if not path.exists():
            raise RecommendationError(
                f"{path} does not exist: no run has pushed a cluster map to "
                f"{self.settings.region} yet. Nothing was recommended."
            )
        past = self.events[self.events.timestamp < self.settings.moment]
        try:
            cluster_map = ClusterMap.load(path)
        except ValueError as error:
            raise RecommendationError(f"{error} Nothing was recommended.") from error
        about = (cluster_map.catalogue, cluster_map.encoder)
        if about != (self.catalogue.fingerprint(), self.encoder.fingerprint):
            raise RecommendationError(
                f"{path} is about another catalogue or encoder. Nothing was recommended. "
                "Wait for the map of a run with this catalogue."
            )
        usual = usual_fusion(cluster_map, self.settings.recent_lift)
        fusion = kept_or_tuned(
            path,
            usual,
            self.settings.moment,
            lambda: tuned(self.profiles, cluster_map, self.item_vectors, usual=usual),
        )
        return Recommender(
            self.profiles,
            self.item_vectors,
            cluster_map,
            past,
            categories=self.catalogue.categories,
            ages=self.catalogue.ages(self.settings.moment),
            fusion=fusion,
        )

    def arm_of(self, user_id: str) -> Arm | None:
        """Return a user's arm of the experiment that is on; None without one."""
        return self.assignment.arm_of(user_id) if self.assignment else None

    def keep_shown(self, lists: Sequence[ShownList]) -> None:
        """Keep that lists are shown, where feedback is kept."""
        if self.feedback_store is not None:
            self.feedback_store.record(lists, self.settings.moment)

    def recommender_of(self, arm: Arm | None) -> Recommender:
        """Return what ranks items for the users of an arm; of none, for everybody."""
        if arm is None:
            return self.recommender
        return self.recommender.weighing(
            arm.fusion(self.recommender.fusion), popularity_only=arm.popularity_only
        )

    def stated_interests(self, texts: Sequence[str]) -> StatedInterests:
        """Return what somebody says they are interested in. Not kept."""
        cache = EmbeddingCache(self.settings.cache)
        vectors = encode_interests(texts, self.catalogue, self.encoder, cache)
        return StatedInterests(texts=texts, vectors=vectors)


def open_region(settings_path: Path) -> Region:
    """Return the region that a settings file describes."""
    return Region(read_settings(settings_path))
