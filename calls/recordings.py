"""Recordings are handed out by signed addresses that expire, or to the dashboard's staff."""

import re
from pathlib import Path

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from calls.models import Call

VALID_FOR_S = 24 * 60 * 60
# A range is answered with at most so much; players ask on.
_RANGE_AT_MOST = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_signer = TimestampSigner(salt="calls.recordings")


def signed_url(call: Call) -> str | None:
    """Return an address of the call's recording that works for 24 hours; None if there is none, or
    it is still being written.
    """
    if not call.recording_file or not call.is_over:
        return None
    signature = _signer.sign(call.call_id).partition(":")[2]
    return f"{settings.PUBLIC_URL}/recordings/{call.call_id}.wav?s={signature}"


def _may_hear(request: HttpRequest, call_id: str) -> bool:
    if request.user.is_staff and request.user.has_perm("calls.view_call"):
        return True
    try:
        _signer.unsign(f"{call_id}:{request.GET.get('s', '')}", max_age=VALID_FOR_S)
    except BadSignature:
        return False
    return True


@require_safe
def recording(request: HttpRequest, call_id: str) -> HttpResponseBase:
    """Send a call's recording as WAV, in ranges if asked. Anything amiss is the same 404."""
    path = _file_of(call_id) if _may_hear(request, call_id) else None
    if path is None:
        raise Http404
    answer = _part(path, request.headers.get("Range", "")) or FileResponse(
        path.open("rb"), content_type="audio/wav"
    )
    answer["Accept-Ranges"] = "bytes"
    answer["Cache-Control"] = "private, max-age=3600"
    answer["Content-Disposition"] = f'inline; filename="{call_id}.wav"'
    return answer


def _file_of(call_id: str) -> Path | None:
    call = Call.objects.filter(call_id=call_id).only("recording_file").first()
    path = call.recording_path if call else None
    if path is None or not path.resolve().is_relative_to(Path(settings.RECORDINGS_DIR).resolve()):
        return None
    return path if path.is_file() else None


def _part(path: Path, header: str) -> HttpResponse | None:
    """Answer a request for one range of bytes; None if the whole file was asked for."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    size = path.stat().st_size
    if match[1]:
        start, end = int(match[1]), int(match[2] or size - 1)
    else:  # the last so many bytes
        start, end = max(0, size - int(match[2])), size - 1
    end = min(end, size - 1, start + _RANGE_AT_MOST - 1)
    if start > end:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(end - start + 1)
    return HttpResponse(
        content,
        status=206,
        content_type="audio/wav",
        headers={"Content-Range": f"bytes {start}-{end}/{size}"},
    )
