"""Who speaks, and through which telephone number."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.encryption import EncryptedTextField
from accounts.ids import new_agent_id
from accounts.models import Account, ApiKey, CarrierAccount
from agents.tools.models import Calendar, CustomFunction

__all__ = [
    "Agent",
    "Calendar",
    "Caller",
    "CustomFunction",
    "Note",
    "PhoneNumber",
    "RecordingSource",
]

VOICEMAIL_NEEDS_WORDS = "A voicemail can only be left with a voicemail_message to say."


class RecordingSource(models.TextChoices):
    PROVIDER = "provider"
    NIXFLEX = "nixflex"


class AgentQuerySet(models.QuerySet["Agent"]):
    def of(self, account: Account) -> "AgentQuerySet":
        return self.filter(account=account)

    def active(self) -> "AgentQuerySet":
        return self.filter(is_active=True)

    def newest_first(self) -> "AgentQuerySet":
        return self.select_related("api_key").order_by("-created_at", "-pk")


class Agent(models.Model):
    """Who speaks: the instructions, voice and manners of one AI phone agent (spec 4.1)."""

    class ResponseLength(models.TextChoices):
        SHORT = "short"
        MEDIUM = "medium"
        LONG = "long"

    class TransferType(models.TextChoices):
        COLD = "cold"
        WARM = "warm"

    class IdentityCheck(models.TextChoices):
        """What a caller must say before private notes are used: a field of ``Caller``."""

        NAME = "name"
        REFERENCE_ID = "reference_id"
        EMAIL = "email"
        PHONE = "phone"
        LOCATION = "location"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="agents")
    # The key that made it: legacy webhook signatures use its secret.
    api_key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="+")
    agent_id = models.CharField(max_length=32, unique=True, default=new_agent_id, editable=False)

    # core
    name = models.CharField(max_length=100, default="Untitled Agent")
    system_prompt = models.TextField(max_length=16000, default="You are a friendly assistant.")
    welcome_message = models.TextField(default="Hello! How can I help you today?", blank=True)
    voice_id = models.CharField(max_length=64, default="Ashley")
    language = models.CharField(max_length=16, default="multi")
    timezone = models.CharField(max_length=64, default="Europe/London")
    llm_model = models.CharField(max_length=64, default="default")
    is_active = models.BooleanField(default=True)

    # behaviour
    temperature = models.FloatField(default=0.3)
    response_length = models.CharField(
        max_length=8, choices=ResponseLength, default=ResponseLength.SHORT
    )
    ai_speaks_first = models.BooleanField(default=True)
    dynamic_greeting = models.BooleanField(default=False)
    greet_by_name = models.BooleanField(default=True)
    interruption_sensitivity = models.PositiveSmallIntegerField(default=50)
    response_eagerness = models.PositiveSmallIntegerField(default=200, help_text="ms")
    boosted_keywords = models.TextField(null=True, blank=True)  # noqa: DJ001 (null is part of the API)
    pickup_delay = models.PositiveSmallIntegerField(
        default=10, help_text="seconds of ringing, inbound"
    )
    stt_confidence = models.FloatField(null=True, blank=True)
    stt_max_silence_ms = models.PositiveIntegerField(null=True, blank=True)
    fallback_message = models.TextField(default="I am sorry, could you say that again?", blank=True)
    speaking_rate = models.FloatField(null=True, blank=True)
    voice_speed = models.FloatField(default=0.85, help_text="stored, not used")

    # call controls
    max_call_duration_seconds = models.PositiveIntegerField(default=600)
    silence_hangup_seconds = models.PositiveSmallIntegerField(default=30)
    ivr_timeout_seconds = models.PositiveIntegerField(default=240)
    wait_tag_seconds = models.PositiveSmallIntegerField(default=30)
    record_call = models.BooleanField(default=True)
    recording_source = models.CharField(
        max_length=8, choices=RecordingSource, default=RecordingSource.PROVIDER
    )
    amd_enabled = models.BooleanField(
        default=True, help_text="carrier's answering-machine detection"
    )
    dtmf_enabled = models.BooleanField(null=True, blank=True)
    require_booking_confirmation = models.BooleanField(default=False)
    identity_check = models.CharField(
        max_length=16,
        choices=IdentityCheck,
        default=IdentityCheck.NAME,
        help_text="what a caller must say before private notes are used",
    )
    voicemail_leave_enabled = models.BooleanField(default=False)
    voicemail_message = models.TextField(null=True, blank=True)  # noqa: DJ001
    hangup_on_ivr = models.BooleanField(default=False)
    webhook_url = models.TextField(null=True, blank=True)  # noqa: DJ001
    precall_webhook_url = models.TextField(null=True, blank=True)  # noqa: DJ001

    # functions
    func_end_call = models.BooleanField(default=True)
    incall_sms_enabled = models.BooleanField(default=False)
    transfer_type = models.CharField(max_length=4, choices=TransferType, default=TransferType.COLD)
    transfer_number = models.CharField(max_length=32, null=True, blank=True)  # noqa: DJ001
    transfer_whisper = models.TextField(null=True, blank=True)  # noqa: DJ001
    func_send_sms = models.BooleanField(default=False, help_text="stored, not used")
    func_cold_transfer = models.BooleanField(default=False, help_text="stored, not used")
    functions = models.JSONField(default=list, blank=True)

    # after the call, and texts
    enable_post_call_analysis = models.BooleanField(default=True)
    data_extraction_fields = models.JSONField(default=list, blank=True)
    extraction_schema = models.JSONField(null=True, blank=True)
    post_call_sms_enabled = models.BooleanField(default=False)
    post_call_sms_template = models.TextField(null=True, blank=True)  # noqa: DJ001
    enable_sms_reply = models.BooleanField(default=True)
    sms_reply_window_hours = models.PositiveSmallIntegerField(default=24, help_text="1-720")
    phone_number = models.CharField(max_length=32, null=True, blank=True)  # noqa: DJ001 (legacy)

    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(voicemail_leave_enabled=False)
                | (Q(voicemail_message__isnull=False) & ~Q(voicemail_message="")),
                name="agents_agent_voicemail_has_words",
                violation_error_message=VOICEMAIL_NEEDS_WORDS,
            )
        ]
        indexes = [models.Index(fields=["account", "-created_at"], name="agents_agent_newest")]

    def __str__(self) -> str:
        return self.name


class PhoneNumberQuerySet(models.QuerySet["PhoneNumber"]):
    def of(self, account: Account) -> "PhoneNumberQuerySet":
        return self.filter(account=account)

    def with_owners(self) -> "PhoneNumberQuerySet":
        return self.select_related("agent", "carrier_account")

    def newest_first(self) -> "PhoneNumberQuerySet":
        return self.order_by("-created_at", "-pk")


class PhoneNumber(models.Model):
    """One of the customer's own numbers, imported from their carrier account (spec 4.7).

    In every nullable setting null means "as the agent has it", never "off".
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="phone_numbers")
    # An agent's deletion orphans its numbers: they stop routing until attached again.
    agent = models.ForeignKey(
        Agent,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="phone_numbers",
    )
    carrier_account = models.ForeignKey(
        CarrierAccount, on_delete=models.PROTECT, related_name="phone_numbers"
    )
    phone_number = models.CharField(max_length=16, help_text="E.164")
    carrier_number_sid = models.CharField(max_length=64, blank=True)
    inbound_enabled = models.BooleanField(default=True)
    outbound_enabled = models.BooleanField(default=True)

    custom_prompt = models.TextField(max_length=8000, null=True, blank=True)  # noqa: DJ001
    voice_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001
    speaking_rate = models.FloatField(null=True, blank=True)
    dtmf_enabled = models.BooleanField(null=True, blank=True)
    record_call = models.BooleanField(null=True, blank=True)
    recording_source = models.CharField(  # noqa: DJ001
        max_length=8, choices=RecordingSource, null=True, blank=True
    )
    require_booking_confirmation = models.BooleanField(null=True, blank=True)
    voicemail_leave_enabled = models.BooleanField(null=True, blank=True)
    voicemail_message = models.TextField(max_length=2000, null=True, blank=True)  # noqa: DJ001
    sms_reply_enabled = models.BooleanField(null=True, blank=True)
    sms_prompt = models.TextField(max_length=20000, null=True, blank=True)  # noqa: DJ001
    web_prompt = models.TextField(max_length=20000, null=True, blank=True)  # noqa: DJ001
    precall_webhook_url = models.TextField(null=True, blank=True)  # noqa: DJ001
    # A Make scenario that the agent may ask in mid-call; people put keys into such addresses.
    make_in_call_url = EncryptedTextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    objects = PhoneNumberQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            # A carrier rings one place per number, so one account here can hold it.
            models.UniqueConstraint(fields=["phone_number"], name="agents_phonenumber_unique"),
            models.CheckConstraint(
                condition=Q(phone_number__regex=r"^\+[1-9][0-9]{6,14}$"),
                name="agents_phonenumber_e164",
                violation_error_message="Not a number in E.164, as +447446466847.",
            ),
            models.CheckConstraint(
                condition=Q(voicemail_leave_enabled=False)
                | Q(voicemail_leave_enabled__isnull=True)
                | (Q(voicemail_message__isnull=False) & ~Q(voicemail_message="")),
                name="agents_phonenumber_voicemail_has_words",
                violation_error_message=VOICEMAIL_NEEDS_WORDS,
            ),
        ]

    def __str__(self) -> str:
        return self.phone_number


class Caller(models.Model):
    """What one of our numbers knows of one person (spec 4.6). Never crosses numbers.

    The six settable fields come from the API or from what the person said; ``last_call`` (what
    they wanted, never what happened) and ``open_item`` only from calls.
    """

    SETTABLE: ClassVar[dict[str, int]] = {
        "name": 120,
        "email": 120,
        "phone": 40,
        "location": 120,
        "reference_id": 64,
        "preference": 200,
    }
    LEARNED_ONLY: ClassVar[tuple[str, ...]] = ("last_call", "open_item")
    FIELDS: ClassVar[tuple[str, ...]] = (*SETTABLE, *LEARNED_ONLY)

    number = models.ForeignKey(PhoneNumber, on_delete=models.CASCADE, related_name="callers")
    caller_number = models.CharField(max_length=16, help_text="E.164")
    name = models.CharField(max_length=120, blank=True)
    email = models.CharField(max_length=120, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    location = models.CharField(max_length=120, blank=True)
    reference_id = models.CharField(max_length=64, blank=True)
    preference = models.CharField(max_length=200, blank=True)
    last_call = models.CharField(max_length=400, blank=True)
    open_item = models.CharField(max_length=400, blank=True)
    private_fields = models.JSONField(
        default=list,
        blank=True,
        help_text='withheld until the caller has confirmed who they are, as ["email", "open_item"]',
    )
    # By field: {"by": "api" | "call" | "dashboard", "at": …, "call_id": …, "turn": 4}.
    sources = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["number", "caller_number"], name="agents_caller_one_per_number"
            )
        ]

    def __str__(self) -> str:
        # Stays in the dashboard's log of changes, where nobody's erasure finds it.
        return f"caller {self.pk}"


class NoteQuerySet(models.QuerySet["Note"]):
    def about(self, account: Account, person: str) -> "NoteQuerySet":
        """Notes on a person through any of the account's numbers, newest first."""
        return self.filter(account=account, person=person).order_by("-at", "-pk")


class Note(models.Model):
    """What one call or text with a person left to be remembered: background, never proof."""

    class Kind(models.TextChoices):
        CALL = "call"
        TEXT = "text"
        OPERATOR = "operator"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="notes")
    person = models.CharField(max_length=16, help_text="E.164")
    our_number = models.CharField(max_length=16, blank=True, help_text="E.164")
    kind = models.CharField(max_length=8, choices=Kind)
    # Which call or message it is from, by its public id.
    source = models.CharField(max_length=64, blank=True)
    is_outbound = models.BooleanField(default=False, help_text="we called or texted them")
    at = models.DateTimeField()
    text = models.TextField()
    is_private = models.BooleanField(
        default=False, help_text="withheld until the caller has confirmed who they are"
    )

    objects = NoteQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "source"],
                condition=~Q(source=""),
                name="agents_note_one_per_source",
            )
        ]
        indexes = [models.Index(fields=["account", "person", "-at"], name="agents_note_of_person")]

    def __str__(self) -> str:
        return f"{self.kind} {self.source or self.pk}"
