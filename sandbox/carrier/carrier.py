"""The whole carrier as one object, started and stopped with the web application."""

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from .messages import Texts
from .network import Directory, Exchange
from .recordings import Recording
from .state import Account
from .webhooks import Webhooks


class Carrier:
    """One account with its calls and texts. Make it inside a running loop."""

    def __init__(self, directory: Directory, *, cps: float = 1.0, origin: str = "") -> None:
        self.account = Account()
        self.webhooks = Webhooks(self.account)
        self.exchange = Exchange(self.account, self.webhooks, directory, cps=cps, origin=origin)
        self.texts = Texts(self.exchange)

    @property
    def recordings(self) -> dict[str, Recording]:
        return self.exchange.recordings

    async def close(self) -> None:
        """Drop calls and background work."""
        await self.exchange.close()
        await self.webhooks.close()


CARRIER = web.AppKey("carrier", Carrier)


def install(
    directory: Directory, *, cps: float, origin: str
) -> Callable[[web.Application], AsyncIterator[None]]:
    """A ``cleanup_ctx`` entry that gives the application its carrier."""

    async def live(app: web.Application) -> AsyncIterator[None]:
        app[CARRIER] = Carrier(directory, cps=cps, origin=origin)
        yield
        await app[CARRIER].close()

    return live
