"""The API's description, made once in a process: it is for whoever can reach the server, and takes
over 0.1 s of processor time to make."""

import hashlib
import threading
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.http import etag
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from rest_framework.views import APIView

_making = threading.Lock()


@cache
def _made() -> tuple[bytes, str]:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    content = OpenApiJsonRenderer().render(schema, renderer_context={})
    return content, f'"{hashlib.sha256(content).hexdigest()}"'


def _description() -> tuple[bytes, str]:
    with _making:  # many may ask at once, and first
        return _made()


forget = _made.cache_clear


class DescriptionView(APIView):
    """Nobody is asked for a key: the description holds no data."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @extend_schema(exclude=True)
    @method_decorator(etag(lambda *_, **__: _description()[1]))
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(_description()[0], content_type="application/json")
