"""The sounds of the telephone network that people and machines listen for or make."""

import numpy as np

from sandbox.speech import audio

_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
_BLOCK = 320  # 40 ms: two telephone frames
_LOUD = 0.02


def beep(ms: int = 400, hz: int = 1000) -> bytes:
    """Return the tone after a voicemail greeting, µ-law."""
    t = np.arange(audio.RATE * ms // 1000) / audio.RATE
    return audio.encode((0.4 * np.sin(2 * np.pi * hz * t)).astype(np.float32))


class Keypad:
    """Hears touch-tones in µ-law audio: each key once, when it has lasted 40 ms or more."""

    def __init__(self) -> None:
        self._rest = b""
        self._held: str | None = None
        t = np.arange(_BLOCK) / audio.RATE
        self._waves = np.exp(-2j * np.pi * np.outer(_ROWS + _COLUMNS, t)) / _BLOCK * 2

    def hear(self, mulaw: bytes) -> str:
        """Return the keys that were newly pressed in this audio, often none."""
        self._rest += mulaw
        pressed = ""
        while len(self._rest) >= _BLOCK:
            key = self._key(audio.decode(self._rest[:_BLOCK]))
            self._rest = self._rest[_BLOCK:]
            if key and key != self._held:
                pressed += key
            self._held = key
        return pressed

    def _key(self, block: audio.Floats) -> str | None:
        if float(np.abs(block).max()) < _LOUD:
            return None
        strength = np.abs(self._waves @ block)
        row, column = int(np.argmax(strength[:4])), int(np.argmax(strength[4:]))
        # A key is two pure tones: together they hold nearly all the energy of the block.
        pair = strength[row] ** 2 + strength[4 + column] ** 2
        if pair / 2 < 0.75 * float(np.mean(block**2)):
            return None
        low, high = strength[row], strength[4 + column]
        return _KEYS[row][column] if 0.3 < low / max(high, 1e-9) < 3.3 else None
