"""Users who talk on through whatever happens, as far as they are allowed to, and what they were told."""

from itertools import count
from random import Random

from websockets.exceptions import WebSocketException

from tests.callers import calling
from tests.processes import rest
from voice_agent.store.base import Pair


class Talk:
    """How many turns the users together may still have, and had. `over` ends it."""

    def __init__(self) -> None:
        self.allowed = 0
        self.had = 0
        self.over = False


class Talker:
    """A user who calls again when the line goes dead, and now and then hangs up: what was said, and which ends came."""

    def __init__(self, pair: Pair, talk: Talk, chance: Random) -> None:
        self.pair = pair
        self.said: dict[str, str] = {}
        self.told: list[str] = []
        self._talk = talk
        self._chance = chance
        self._numbers = count(1)

    async def speak(self, url: str) -> None:
        """Talk until it is over. TimeoutError if a turn that the gateway has taken does not end."""
        while not self._talk.over:
            try:
                await self._call(url)
            except TimeoutError:
                raise
            except (WebSocketException, OSError, EOFError):
                await rest()

    async def _call(self, url: str) -> None:
        async with calling(url, self.pair.user, self.pair.agent) as line:
            turns = self._chance.randrange(3, 15)
            while turns and not self._talk.over:
                if self._talk.had >= self._talk.allowed:
                    await rest()
                    continue
                turn_id = f"t{next(self._numbers)}"
                self.said[turn_id] = self._words(turn_id)
                await line.ask(self.said[turn_id], turn_id)
                self.told.append(turn_id)
                self._talk.had += 1
                turns -= 1
            await line.send("session.end")
            while True:
                await line.hear()

    def _words(self, turn_id: str) -> str:
        things = ("I like pears", "I moved to Lyon", "I work as a baker", "!call get_time {} !then !say Late", "Well")
        return f"{self._chance.choice(things)}, and that is {turn_id} of {self.pair.user}"
