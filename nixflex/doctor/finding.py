"""What a check found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that calls need. ``problem`` is empty where it is well; then ``note`` may say how
    it stands. No field holds a secret."""

    what: str
    note: str = ""
    problem: str = ""
    remedy: str = ""

    @property
    def is_well(self) -> bool:
        return not self.problem
