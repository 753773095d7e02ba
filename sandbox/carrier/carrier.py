"""The whole carrier as one object, started and stopped with the web application."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from . import kept
from .messages import Texts
from .network import Directory, Exchange
from .recordings import Recording
from .state import Account
from .webhooks import Webhooks


class Carrier:
    """One account with its calls and texts. Make it inside a running loop.

    ``keep`` is the file in which its numbers outlive it.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        cps: float = 1.0,
        origin: str = "",
        keep: Path | None = None,
    ) -> None:
        self.account = Account()
        self._keep = keep
        if keep is not None:
            kept.restore(self.account, keep)
        self.webhooks = Webhooks(self.account)
        self.exchange = Exchange(self.account, self.webhooks, directory, cps=cps, origin=origin)
        self.texts = Texts(self.exchange)

    @property
    def recordings(self) -> dict[str, Recording]:
        return self.exchange.recordings

    def keep_numbers(self) -> None:
        """Remember the numbers' settings over a restart."""
        if self._keep is not None:
            kept.keep(self.account, self._keep)

    async def close(self) -> None:
        """Drop calls and background work."""
        await self.exchange.close()
        await self.webhooks.close()


CARRIER = web.AppKey("carrier", Carrier)


def install(
    directory: Directory, *, cps: float, origin: str, keep: Path | None = None
) -> Callable[[web.Application], AsyncIterator[None]]:
    """A ``cleanup_ctx`` entry that gives the application its carrier."""

    async def live(app: web.Application) -> AsyncIterator[None]:
        app[CARRIER] = Carrier(directory, cps=cps, origin=origin, keep=keep)
        yield
        await app[CARRIER].close()

    return live
