"""The development dashboard's login: no first run should begin with making a user."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from accounts.models import User


@dataclass(frozen=True)
class Login:
    username: str
    password: str


def operator_login() -> Login:
    """The development dashboard's login, made once and the same ever after.

    The password is random and lies in the data folder, readable by its owner only.
    """
    kept: Path = settings.DATA_DIR / "operator-password"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(9))
    login = Login("operator", kept.read_text())
    user, _ = User.objects.get_or_create(
        username=login.username, defaults={"is_staff": True, "is_superuser": True}
    )
    if not user.check_password(login.password):
        user.set_password(login.password)
        user.save(update_fields=["password"])
    return login
