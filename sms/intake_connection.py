"""The connection by which knocks are stored: on the event loop itself.

A text waits for its commit and for nothing else: a thread in between would have it wait twice more
for a processor, and for the interpreter's lock.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import psycopg
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connection

# The carrier waits for 15 s; what could not be stored it brings once more.
AT_MOST_S = 10.0


class Database(Protocol):
    """Executes one statement, committed by itself, and returns its rows."""

    async def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]: ...


class IntakeConnection:
    """One connection to the database, for one statement at a time, each committed by itself. Opened
    when it is first needed, and anew once it broke."""

    def __init__(self) -> None:
        self._open: psycopg.AsyncConnection[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows. It may be executed twice, where the connection
        breaks behind its commit. Raises psycopg.Error, or TimeoutError after ``AT_MOST_S``.
        """
        try:
            return await self._rows(statement, values)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            return await self._rows(statement, values)

    async def close(self) -> None:
        """Close the connection, if it is open; the next statement opens it again."""
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def _rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            async with asyncio.timeout(AT_MOST_S):
                cursor = await (await self._connected()).execute(statement, values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError):
            await self.close()
            raise

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        loop = asyncio.get_running_loop()
        if self._open is not None and self._loop is not loop:
            self._open.pgconn.finish()
            self._open = None
        if self._open is None:
            settings = connection.get_connection_params()
            del settings["cursor_factory"]  # a blocking one
            self._open = await psycopg.AsyncConnection.connect(**settings, autocommit=True)
            self._loop = loop
        return self._open


async def beside(work: Callable[..., object], *given: Any) -> None:
    """Do work of Django's in a thread of its own: other knocks need not wait."""
    async with ThreadSensitiveContext():
        await sync_to_async(_and_give_back_connection)(work, *given)


def _and_give_back_connection(work: Callable[..., object], *given: Any) -> None:
    try:
        work(*given)
    finally:
        if not connection.in_atomic_block:
            connection.close()  # to the pool, as after a request
