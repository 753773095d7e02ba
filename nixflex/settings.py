"""Settings, all from the environment (and, in development, from ``.env``).

``.env.example`` lists every variable; ``nixflex/checks.py`` says in words what is missing or wrong.
Defaults are those of a safe server: without ``.env`` nothing is in debug mode or simulated.
"""

import sys
import warnings
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from celery.schedules import crontab
from django.utils.csp import CSP

from accounts.logs import logging_config
from nixflex import embedded, environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = environment.read(BASE_DIR / ".env")
ENVIRONMENT_PROBLEMS = env.problems  # nixflex/checks.py refuses to start while there are any

# --- what this process is -------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
# First key encrypts, all decrypt, so keys can be rotated.
FIELD_ENCRYPTION_KEYS: list[str] = env.list("FIELD_ENCRYPTION_KEYS", default=[])
DATA_DIR = Path(env.str("NIXFLEX_DATA_DIR", default=str(BASE_DIR / ".nixflex")))

# --- addresses ------------------------------------------------------------------------------------
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
MEDIA_PORT = env.int("MEDIA_PORT", default=PORT + 1)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=PORT + 2)
# Our address as others reach it; never derived from a request (a proxy may rewrite that).
PUBLIC_URL = env.address("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}")
_public = urlsplit(PUBLIC_URL)
PUBLIC_IS_LOOPBACK = (_public.hostname or "") in {"127.0.0.1", "localhost", "::1"}
# Not called MEDIA_URL: to Django that is a folder of uploads, and it puts a slash before ws://.
MEDIA_STREAM_URL = env.str(
    "MEDIA_URL",
    default=f"ws://{_public.hostname}:{MEDIA_PORT}/media/twilio/"
    if PUBLIC_IS_LOOPBACK
    else f"wss://{_public.netloc}/media/twilio/",
)
# Where a page's own conversation goes: the same processes, the same proxy.
BROWSER_STREAM_URL = MEDIA_STREAM_URL.replace("/media/twilio/", "/media/browser/")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[_public.hostname or "", "127.0.0.1", "localhost", "[::1]"]
)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if _public.scheme in {"http", "https"} else []
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Browsers that were here once ask by https alone; of other hosts below this name we know nothing.
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if _public.scheme == "https" and not DEBUG else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # so no HSTS for other hosts,
    "security.W021",  # and not for ever
    "security.W008",  # the proxy ends TLS, and redirects what comes without
]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"

# --- the outside: the sandbox unless told otherwise -----------------------------------------------
# None means "not said": the sandbox in development, an error with DEBUG off (nixflex/checks.py).
SANDBOX_SAID = env.bool("SANDBOX", default=None)
SANDBOX = DEBUG if SANDBOX_SAID is None else SANDBOX_SAID
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}"
# The simulated Twilio account, shown in the dashboard so that its numbers can be imported.
SANDBOX_ACCOUNT_SID = env.str("SANDBOX_ACCOUNT_SID", default="AC5a2d0b0c5a2d0b0c5a2d0b0c5a2d0b0c")
SANDBOX_AUTH_TOKEN = env.str("SANDBOX_AUTH_TOKEN", default="5a2db0c05a2db0c05a2db0c05a2db0c0")
TWILIO_API_URL = env.str("TWILIO_API_URL", default="") or (
    SANDBOX_URL if SANDBOX else "https://api.twilio.com"
)
DEEPGRAM_API_URL = env.str("DEEPGRAM_API_URL", default="") or (
    SANDBOX_URL if SANDBOX else "https://api.deepgram.com"
)
ANTHROPIC_API_URL = env.str("ANTHROPIC_API_URL", default="") or (
    SANDBOX_URL if SANDBOX else "https://api.anthropic.com"
)
# The sandbox takes any key; real services need real ones.
DEEPGRAM_API_KEY = env.str("DEEPGRAM_API_KEY", default="") or ("sandbox" if SANDBOX else "")
ANTHROPIC_API_KEY = env.str("ANTHROPIC_API_KEY", default="") or ("sandbox" if SANDBOX else "")
LLM_MODEL = env.str("LLM_MODEL", default="claude-haiku-5-5")
# Asked in a call when the agent's model fails before it has said anything; empty: that one again.
LLM_FALLBACK_MODEL = env.str("LLM_FALLBACK_MODEL", default="claude-sonnet-5-5")
# "flux" hears turns, where it knows the language; "nova-3": words and pauses, in every language.
TRANSCRIBER = env.str("TRANSCRIBER", default="") or "flux"
# Bookings; another server for whoever hosts Cal.com themselves.
CALCOM_API_URL = env.str("CALCOM_API_URL", default="") or (
    SANDBOX_URL if SANDBOX else "https://api.cal.com"
)
# Where finished calls go for numbers that are connected to GoHighLevel.
GOHIGHLEVEL_API_URL = (
    env.str("GOHIGHLEVEL_API_URL", default="") or "https://services.leadconnectorhq.com"
)
# Webhooks and tools may reach private addresses only where the operator says so.
OUTBOUND_ALLOW_PRIVATE = env.bool("OUTBOUND_ALLOW_PRIVATE", default=False)

# Whoever scrapes /metrics must say it; empty: there is no such page.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- limits ---------------------------------------------------------------------------------------
# How much of a prompt the notes on earlier calls and texts may take.
HISTORY_TOKENS = env.int("HISTORY_TOKENS", default=800)
# Calls, recordings, texts and webhook logs that are older are erased every night.
RETENTION_DAYS = env.int("RETENTION_DAYS", default=90)
RING_TIMEOUT_SECONDS = env.int("RING_TIMEOUT_SECONDS", default=30)
# Bytes of a JSON body: a campaign of 10,000 people with a dozen variables each.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
API_RATE_LIMIT_PER_MINUTE = env.int("API_RATE_LIMIT_PER_MINUTE", default=300)
MAX_CONCURRENT_CALLS = env.int("MAX_CONCURRENT_CALLS", default=10)
# Lines that outbound calls leave free for people who call us.
INBOUND_RESERVED_CALLS = env.int("INBOUND_RESERVED_CALLS", default=0)
# How many calls a second the carrier starts for an account: campaigns keep this pace.
CARRIER_CALLS_PER_SECOND = env.float("CARRIER_CALLS_PER_SECOND", default=1.0)
# What a connected minute costs, in micro-dollars: campaigns count and cap what they spend by it.
CALL_PRICE_MICROS_PER_MINUTE = env.int("CALL_PRICE_MICROS_PER_MINUTE", default=80_000)
# Calls that one media process takes; it takes fewer while its event loop runs late.
MEDIA_MAX_CALLS = env.int("MEDIA_MAX_CALLS", default=80)
# Sockets to the voice that a media process keeps open ahead of calls.
VOICE_SOCKETS_AHEAD = env.int("VOICE_SOCKETS_AHEAD", default=2)
# Sockets that the speech service allows this installation; a call takes one of each.
TRANSCRIBER_SOCKETS = env.int("TRANSCRIBER_SOCKETS", default=150)
VOICE_SOCKETS = env.int("VOICE_SOCKETS", default=45)
# What an agent says first is written and spoken while the call still rings. Of a call that nobody
# answers it was made for nothing.
PREPARE_OPENINGS = env.bool("PREPARE_OPENINGS", default=True)
# How long a media process that is told to stop lets its calls go on before they move to another.
MEDIA_DRAIN_SECONDS = env.int("MEDIA_DRAIN_SECONDS", default=90)
# Media processes that ``make run`` starts on the media port.
MEDIA_PROCESSES = env.int("MEDIA_PROCESSES", default=1)
# A dial whose outcome the carrier does not show by then has failed; it is never sent again.
DIAL_SETTLE_SECONDS = env.int("DIAL_SETTLE_SECONDS", default=600)
# Texts: segments a second from one number (a long code's carrier takes one) and one account.
SMS_PER_NUMBER_PER_SECOND = env.int("SMS_PER_NUMBER_PER_SECOND", default=1)
SMS_PER_ACCOUNT_PER_SECOND = env.int("SMS_PER_ACCOUNT_PER_SECOND", default=20)
# A text whose outcome the carrier does not show by then has failed; it is never sent again.
SMS_SETTLE_SECONDS = env.int("SMS_SETTLE_SECONDS", default=300)
# Several texts within so many seconds get one answer.
SMS_ANSWER_AFTER_SECONDS = env.int("SMS_ANSWER_AFTER_SECONDS", default=4)
# A text that comes after the reply window is a conversation the person begins.
SMS_ANSWER_AFTER_WINDOW = env.bool("SMS_ANSWER_AFTER_WINDOW", default=False)
# More automatic answers in one thread look like two machines talking.
SMS_ANSWERS_PER_HOUR = env.int("SMS_ANSWERS_PER_HOUR", default=12)

# --- services -------------------------------------------------------------------------------------
EMBEDDED_POSTGRES = not env.str("DATABASE_URL", default="")
EMBEDDED_VALKEY = not env.str("REDIS_URL", default="")
_database = env.database(
    embedded.database_url(DATA_DIR) if EMBEDDED_POSTGRES else env.str("DATABASE_URL")
)
# Under ASGI each request has a context of its own: only a pool keeps connections open.
_database.setdefault("OPTIONS", {})["pool"] = {"min_size": 1, "max_size": 20, "timeout": 10}
# A statement is read and planned once for each connection: a third of the database's work.
_database["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 3}
DATABASES = {"default": _database}
REDIS_URL = embedded.redis_url(DATA_DIR) if EMBEDDED_VALKEY else env.str("REDIS_URL")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # redis-py 8 gives sockets a 5 s read time-out, as long as the layer's own blocking read:
        # their race closes a WebSocket every few seconds. None lets the layer wait.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    }
}
CELERY_BROKER_URL = (
    embedded.celery_broker_url(DATA_DIR) if EMBEDDED_VALKEY else env.str("REDIS_URL")
)
CELERY_TASK_IGNORE_RESULT = True  # outcomes live on our rows
CELERY_TASK_ACKS_LATE = True  # a killed worker's task runs again; every task is safe to run twice
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 120
# An unacknowledged task comes back after this long; longer than any task may run.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 180, "priority_steps": [0, 5]}
# What keeps a pace or a promise of seconds goes before what may follow a call minutes later.
CELERY_TASK_DEFAULT_PRIORITY = 5
CELERY_TASK_ROUTES = {
    name: {"priority": 0}
    for name in (
        "calls.tasks.dial",
        "calls.tasks.rescue",
        "campaigns.tasks.dispatch",
        "nixflex.tasks.heartbeat",
        "sms.tasks.send",
        "sms.tasks.take_in",
    )
}
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "nixflex.tasks.heartbeat", "schedule": 10.0},
    "sweep-calls": {"task": "calls.tasks.sweep", "schedule": 15.0},
    "rescue-calls": {"task": "calls.tasks.rescue", "schedule": 3.0, "options": {"expires": 3}},
    "dispatch-campaigns": {
        "task": "campaigns.tasks.dispatch",
        "schedule": 1.0,
        "options": {"expires": 5},  # a worker that was away has no use for old ones
    },
    "sweep-campaigns": {"task": "campaigns.tasks.sweep", "schedule": 15.0},
    "purge-old-calls": {
        "task": "calls.tasks.purge",
        "schedule": crontab(hour="3", minute="0"),
        "options": {"expires": 3600},
    },
    "deliver-webhooks": {"task": "webhooks.tasks.deliver", "schedule": 5.0},
    "dispatch-text-campaigns": {
        "task": "campaigns.tasks.dispatch_texts",
        "schedule": 2.0,
        "options": {"expires": 10},
    },
    "send-texts": {"task": "sms.tasks.send", "schedule": 1.0, "options": {"expires": 5}},
    "sweep-texts": {"task": "sms.tasks.sweep", "schedule": 5.0, "options": {"expires": 15}},
    "recover-texts": {"task": "sms.tasks.recover", "schedule": 10.0, "options": {"expires": 10}},
    "purge-stored-answers": {"task": "accounts.tasks.purge_stored_answers", "schedule": 600.0},
}

# --- Django ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    # Only where it serves (development's runserver): its Twisted would slow every other start.
    *(["daphne"] if "runserver" in sys.argv else []),
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "nixflex.apps.NixflexConfig",
    "accounts",
    "webhooks",
    "agents",
    "sms",
    "calls",
    "campaigns",
    "demo",
]
MIDDLEWARE = [
    "accounts.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "nixflex.csp.ContentSecurityPolicyMiddleware",
    "axes.middleware.AxesMiddleware",
    "nixflex.odd_addresses.OddAddressMiddleware",
    "nixflex.one_thread.OneThreadMiddleware",
]
ROOT_URLCONF = "nixflex.urls"
ASGI_APPLICATION = "nixflex.asgi.application"
APPEND_SLASH = False  # API paths have none; a redirect would lose a POST's body
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Nothing but our own pages and files; nixflex/csp.py loosens it where a page needs more.
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_VERBOSE = False  # no greeting in the log of every command
# Of one address. A login that works forgets the mistakes before it, and time does.
AXES_FAILURE_LIMIT = 5
AXES_RESET_ON_SUCCESS = True
AXES_COOLOFF_TIME = timedelta(minutes=15)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True  # nothing to collect before the first page
warnings.filterwarnings("ignore", "No directory at: ")  # and so no warning where nothing was
RECORDINGS_DIR = Path(env.str("RECORDINGS_DIR", default=str(DATA_DIR / "recordings")))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.parsing.JSONBodyParser"],
    "EXCEPTION_HANDLER": "accounts.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "accounts.parsing.AlwaysJSON",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.KeyRateThrottle"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Nixflex API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Several serializers show these: without a name of its own each would get a number.
    "ENUM_NAME_OVERRIDES": {
        "CampaignStatusEnum": "campaigns.models.Campaign.Status",
        "MessageStatusEnum": "sms.models.Message.Status",
    },
}
LOGGING = logging_config(debug=DEBUG)
FORMAT_MODULE_PATH = "nixflex.formats"
UNFOLD = {
    "SITE_TITLE": "Nixflex",
    "SITE_HEADER": "Nixflex",
    "SITE_SYMBOL": "call",
    "SITE_URL": None,  # there is no other site
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}nixflex/favicon.svg"}
    ],
    "STYLES": [f"{STATIC_URL}nixflex/dashboard.css"],
    "DASHBOARD_CALLBACK": "nixflex.dashboard.front_page",
    "GLOBAL_CALLBACK": "nixflex.dashboard.on_every_page",
    "SIDEBAR": {"navigation": "nixflex.dashboard.navigation"},
}
