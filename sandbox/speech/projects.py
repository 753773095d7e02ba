"""``GET /v1/projects``: whose key it is, as clients ask to see whether it is taken."""

from aiohttp import web

from .door import SIMULATION, admit, uuid_of


async def _list(request: web.Request) -> web.Response:
    admit(request)
    project = {"project_id": uuid_of("project"), "name": "Sandbox"}
    return web.json_response({"projects": [project]}, headers=SIMULATION)


def routes() -> list[web.RouteDef]:
    return [web.get("/v1/projects", _list)]
