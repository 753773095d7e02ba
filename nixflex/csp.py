"""Where the site's strict Content-Security-Policy has to give way, and how far."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware import csp
from django.utils.csp import CSP

# django-unfold's menus are Alpine, which evaluates expressions found in the page, and its pages
# and ours carry style and script elements.
DASHBOARD = {
    "script-src": [CSP.SELF, CSP.UNSAFE_INLINE, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    # The page on which an operator talks to an agent.
    "connect-src": [
        CSP.SELF,
        "{0.scheme}://{0.netloc}".format(urlsplit(settings.BROWSER_STREAM_URL)),
    ],
}
# Swagger UI brings a style element and pictures inside its style sheet.
API_DOCS = {
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
}
LOOSER = {"/admin/": DASHBOARD, "/api/docs/": API_DOCS}


class ContentSecurityPolicyMiddleware(csp.ContentSecurityPolicyMiddleware):
    """Django's own, with a looser policy for whole branches of the site instead of single views."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        for branch, looser in LOOSER.items():
            if request.path.startswith(branch):
                response._csp_config = settings.SECURE_CSP | looser  # type: ignore[attr-defined]
        return super().process_response(request, response)
