"""What every dialect shares: the error of a frame that cannot be taken. The session goes on after it."""

from voice_agent.events import ErrorCode


class FrameError(Exception):
    """A frame that says nothing the protocol knows; `field` names the part that is wrong, where one is."""

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
