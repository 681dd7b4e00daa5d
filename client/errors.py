"""Errors at the client's edges: what was found, what was not done, what to do."""


class ClientError(Exception):
    """Something that keeps this client from working."""


class SettingsError(ClientError):
    """Agent settings that cannot be read or that say something impossible."""


class UnreadableRequestError(ClientError):
    """A request that this program cannot read: the server runs another version of it.

    The server knows it by its name (``strategies.reply_faults``).
    """


class EventsError(ClientError):
    """Behaviour events that cannot be read."""


class CatalogueError(ClientError):
    """A catalogue that cannot be read."""


class EncoderError(ClientError):
    """A language model that cannot be loaded."""


class RecommendationError(ClientError):
    """A recommendation that cannot be made."""


class ExperimentError(ClientError):
    """An experiment whose arms cannot be given to anybody."""


class FeedbackError(ClientError):
    """Feedback that cannot be kept or read."""
