"""uvicorn's WebSocket protocol with a short cut for the frames that live audio consists of.

A carrier sends 50 small frames a second and call, each whole and by itself. uvicorn reads them
with the parser of ``websockets``, a chain of generators that was a seventh of a media process's
work, and stops and starts the socket around every message, which is a system call for each. Here a
whole frame is read in place; whatever else comes (handshake, pings, closes, fragments, half
frames, mistakes) goes the usual way. Start with ``--ws media.server_socket:AudioProtocol``.
"""

from asyncio import BaseTransport, Transport
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined]
from websockets.protocol import OPEN
from websockets.streams import StreamReader

WHOLE_TEXT, WHOLE_BYTES = 0x81, 0x82  # one final frame, no extension
MASKED = 0x80
MOST_WAITING = 100  # messages, 2 s of audio: then the socket is not read for a while
# Bytes of a message. A carrier's have a thousandth of it; whoever opens a socket without a pass
# must not fill the memory, or keep the loop reading, meanwhile.
LARGEST = 64 * 1024


class AudioProtocol(WebSocketsSansIOProtocol):
    """Behaves as its parent; a message arrives sooner, reading stops only for a full queue, and a
    message over ``LARGEST`` bytes ends the socket (1009).
    """

    _between_messages = False  # the parser waits for the first byte of one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.max_message_size = LARGEST

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the connection over from the protocol that read the handshake's head."""
        super().connection_made(transport)
        before: Any = cast(Transport, transport).get_protocol()
        if hasattr(before, "parser"):
            before.parser = None  # it is not asked again, and the two hold each other for good

    def data_received(self, data: bytes) -> None:
        if self._between_messages and not self.close_sent:
            data = data[self._take_whole_frames(data) :]
            if not data:
                return
        super().data_received(data)
        self._between_messages = self._waits_for_a_message()

    def _waits_for_a_message(self) -> bool:
        conn: Any = self.conn
        waits = conn.parser
        while (inner := getattr(waits, "gi_yieldfrom", None)) is not None:
            waits = inner
        return (
            conn.state is OPEN
            and not conn.reader.buffer
            and waits.gi_code is StreamReader.at_eof.__code__
            and conn.current_size is None
            and not conn.extensions
        )

    def _take_whole_frames(self, data: bytes) -> int:
        """Queue the messages that ``data`` begins with; return where they end."""
        at, size = 0, len(data)
        while size - at > 6 and data[at] in (WHOLE_TEXT, WHOLE_BYTES) and data[at + 1] & MASKED:
            length, mask_at = data[at + 1] & 0x7F, at + 2
            if length == 126:
                length, mask_at = int.from_bytes(data[at + 2 : at + 4]), at + 4
            elif length == 127:
                break
            begins = mask_at + 4
            ends = begins + length
            if ends > size:
                break
            payload = apply_mask(data[begins:ends], data[mask_at:begins])
            if data[at] == WHOLE_BYTES:
                self.queue.put_nowait({"type": "websocket.receive", "bytes": payload})
            else:
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    break
                self.queue.put_nowait({"type": "websocket.receive", "text": text})
            at = ends
        if not self.read_paused and self.queue.qsize() > MOST_WAITING:
            self.read_paused = True
            self.transport.pause_reading()
        return at
