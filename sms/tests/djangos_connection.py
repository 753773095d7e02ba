"""Django's own connection in the place of the intake's: what comes in within a test is part of its
transaction."""

from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection


class DjangosConnection:
    async def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return await sync_to_async(_rows)(statement, values)


def _rows(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
