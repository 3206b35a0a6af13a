"""Django settings, read from the environment. Every variable stands in `.env.example` with its meaning."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ
from csp.constants import NONCE

from voiceagent.environment import SettingsReader, numbered_with_demos

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

# --- Where the variables come from ------------------------------------------------------------------------------
# An empty VOICEAGENT_ENV_FILE means: the process environment alone (containers, tests).
ENV_FILE = BASE_DIR / os.environ.get("VOICEAGENT_ENV_FILE", ".env")
if ENV_FILE.is_file():
    environ.Env.read_env(ENV_FILE)
read = SettingsReader()

django_stubs_ext.monkeypatch()  # lets ModelAdmin and its like be written with their model, for the type checker

# --- Mode -------------------------------------------------------------------------------------------------------
# DEMO is the set-up that `make run` writes: plain http on this machine, the local engine, one web process.
DEMO = read.boolean("DEMO", False)
DEBUG = read.boolean("DEBUG", False)
SERVES = not DEMO and not DEBUG  # others than whoever tries it on this machine
SECRET_KEY = read.secret("SECRET_KEY", required=True)
DEMO_PASSWORD = read.secret("DEMO_PASSWORD")
HOST = read.text("HOST", "127.0.0.1")
PORT = read.integer("PORT", 8000, low=1, high=65535)
ALLOWED_HOSTS = read.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
# Further origins (scheme://host:port) whose pages may use the relay; our own origin always may.
ALLOWED_ORIGINS = read.origins("ALLOWED_ORIGINS")
METRICS_TOKEN = read.secret("METRICS_TOKEN")
TRUSTED_PROXY_COUNT = read.integer("TRUSTED_PROXY_COUNT", 0, low=0, high=5)

# --- Upstream ---------------------------------------------------------------------------------------------------
OPENAI_API_KEY = read.secret("OPENAI_API_KEY")
OPENAI_BASE_URL = read.url("OPENAI_BASE_URL", "https://api.openai.com/v1", schemes=("https", "http"))
LOCAL_ENGINE = read.boolean("LOCAL_ENGINE", DEMO)
ENGINE_PORT = read.integer("ENGINE_PORT", 8765, low=1, high=65535)
ENGINE_API_KEY = read.secret("ENGINE_API_KEY", required=LOCAL_ENGINE and not OPENAI_API_KEY)
ENGINE_MAX_CALLS = read.integer("ENGINE_MAX_CALLS", 10, low=1, high=100)
ENGINE_LLM_BASE_URL = read.url("ENGINE_LLM_BASE_URL", "", schemes=("http", "https"))
ENGINE_LLM_API_KEY = read.secret("ENGINE_LLM_API_KEY")
ENGINE_LLM_MODEL = read.text("ENGINE_LLM_MODEL", "")

# The one place that knows which upstream is in use; everything else reads these five values.
UPSTREAM_IS_LOCAL = LOCAL_ENGINE and not OPENAI_API_KEY
if UPSTREAM_IS_LOCAL:
    UPSTREAM_BASE_URL = f"http://127.0.0.1:{ENGINE_PORT}/v1"
    UPSTREAM_API_KEY = ENGINE_API_KEY
    UPSTREAM_LABEL = "Local demo engine"
    UPSTREAM_UNAVAILABLE_HINT = "The local engine is not running. Start it with: make run"
else:
    UPSTREAM_BASE_URL = OPENAI_BASE_URL
    UPSTREAM_API_KEY = OPENAI_API_KEY
    UPSTREAM_LABEL = "OpenAI"
    UPSTREAM_UNAVAILABLE_HINT = "Try again in a moment."
UPSTREAM_DEADLINE_S = 10

REALTIME_MODEL = read.text("REALTIME_MODEL", "gpt-realtime-2.1")
TRANSCRIPTION_MODEL = read.text("TRANSCRIPTION_MODEL", "gpt-transcribe")

# --- Client secrets and calls -----------------------------------------------------------------------------------
CLIENT_SECRET_TTL_S = read.integer("CLIENT_SECRET_TTL_S", 60, low=10, high=7200)
CLIENT_SECRET_MAX_TTL_S = read.integer("CLIENT_SECRET_MAX_TTL_S", 600, low=10, high=7200)
CLIENT_SECRET_KINDS = read.words_of("CLIENT_SECRET_KINDS", ["relayed", "direct"], choices=("relayed", "direct"))
API_KEY_PEPPERS = read.numbered_secrets("API_KEY_PEPPERS")
API_KEY_MAX_DAYS = read.integer("API_KEY_MAX_DAYS", 365, low=1, high=3650)
# django-ratelimit's own defaults; it asks for each of them at every request, and to find none is slow.
RATELIMIT_ENABLE, RATELIMIT_FAIL_OPEN = True, False
RATELIMIT_USE_CACHE, RATELIMIT_CACHE_PREFIX, RATELIMIT_HASH_ALGORITHM = "default", "rl:", hashlib.sha256
ISSUE_BURST_RATE = read.rate("ISSUE_BURST_RATE", "10/10s")
ISSUE_RATE = read.rate("ISSUE_RATE", "20/m")
RELAY_RATE = read.rate("RELAY_RATE", "60/m")
CALL_MAX_S = read.integer("CALL_MAX_S", 3600, low=10, high=86_400)
SOCKETS_AT_ONCE = read.integer("SOCKETS_AT_ONCE", 400, low=1, high=10000)
CALL_IDLE_S = read.integer("CALL_IDLE_S", 600, low=10, high=3600)
TRANSCRIPTS = read.choice("TRANSCRIPTS", "full", choices=("off", "redacted", "full"))
# What the voice page does unless its person chooses otherwise.
VOICE_TRANSPORT = read.choice("VOICE_TRANSPORT", "webrtc", choices=("webrtc", "websocket"))
REPEAT_TURNS_AFTER_RECONNECT = read.boolean("REPEAT_TURNS_AFTER_RECONNECT", True)
DELETE_TRANSCRIPTS = read.choice("DELETE_TRANSCRIPTS", "allow", choices=("allow", "deny"))
UNMONITORED_CALLS = read.choice("UNMONITORED_CALLS", "allow", choices=("allow", "end"))
GUARDRAILS_ON_FAILURE = read.choice("GUARDRAILS_ON_FAILURE", "allow", choices=("allow", "stop"))
BUDGET_USD_A_MONTH = read.integer("BUDGET_USD_A_MONTH", 0, low=0, high=10_000_000)
UNPRICED_MODELS = read.choice("UNPRICED_MODELS", "mark", choices=("mark", "block"))
CALLS_AT_ONCE = read.integer("CALLS_AT_ONCE", 2, low=1, high=1000)

# --- The record -------------------------------------------------------------------------------------------------
# The highest number is the key in use; the others stay for what they made. Number 0, of a demo, comes from SECRET_KEY.
AUDIT_MAC_KEYS = numbered_with_demos(SECRET_KEY, "audit-mac", read.numbered_keys("AUDIT_MAC_KEYS", required=SERVES))
AUDIT_SIGNING_KEYS = numbered_with_demos(
    SECRET_KEY, "audit-signing", read.numbered_keys("AUDIT_SIGNING_KEYS", required=SERVES)
)
AUDIT_ORIGIN = read.text("AUDIT_ORIGIN", f"{ALLOWED_HOSTS[0]}/voiceagent")
AUDIT_LOG_IS_PUBLIC = read.boolean("AUDIT_LOG_IS_PUBLIC", False)
AUDIT_EXPORT_STDOUT = read.boolean("AUDIT_EXPORT_STDOUT", False)
AUDIT_WEBHOOK_URL = read.url("AUDIT_WEBHOOK_URL", "", schemes=("https", "http"))
AUDIT_WITNESS_URL = read.url("AUDIT_WITNESS_URL", "", schemes=("https", "http"))

# --- Applications -----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "voiceagent",
    "realtime_ui",
    "tools",
    "relay",
    "tokens",
    "agents",
    "usage",
    "audit",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "accounts",  # after those whose administration it replaces
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "voiceagent.admin_config.SiteConfig",  # django.contrib.admin, with pages of our own
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "voiceagent.static_files.StaticFiles",
    "csp",
    *(["examples.booking"] if read.boolean("BOOKING_EXAMPLE", DEMO) else []),
]
MIDDLEWARE = [
    "voiceagent.middleware.RequestIdentity",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.StaffSecondFactor",
    "voiceagent.middleware.CodedErrors",
]
ROOT_URLCONF = "voiceagent.urls"
ASGI_APPLICATION = "voiceagent.asgi.application"
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
            ],
        },
    },
]

# --- Database, cache, channel layer -----------------------------------------------------------------------------
DATABASES = {"default": read.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # FULL: a record that was answered for must survive a power cut. IMMEDIATE: a transaction that will write
    # takes the lock at its start, instead of failing half-way.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,  # longer than any writer of ours holds the lock; then the answer is 503
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    # As long as SQLite waits: a row that somebody else holds ends as 503, instead of holding up all who come after.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c lock_timeout=5s")
    # The statements of the hot routes are planned once for each connection; a pooler that mixes connections forbids it.
    if DATABASES["default"]["OPTIONS"].setdefault("prepare_threshold", 1) == "None":
        DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
# Beside a database that is a file, so that one started anew meets no checkpoints of another.
AUDIT_EXPORT_FILE = read.text(
    "AUDIT_EXPORT_FILE",
    f"{DATABASES['default']['NAME']}.checkpoints"
    if DATABASES["default"]["ENGINE"].endswith("sqlite3")
    else f"{VAR_DIR / 'checkpoints.jsonl'}",
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = read.url("REDIS_URL", "", schemes=("redis", "rediss", "unix"))
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
        }
    }
    # What goes over it are hints: nobody needs one that came while they were not there.
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    }
else:
    CACHES = {"default": {"BACKEND": "voiceagent.local_cache.LocalCache"}}
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# --- Accounts ---------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
# Floods are stopped by address here, guessed passwords by axes below. `login_failed` is left for second factors alone,
# which are counted by account: whoever gets that far knows the password.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "5/5m/key"}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "voice"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# Second factors. Codes of one step before and after are taken, too, for clocks that are not quite right.
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1
MFA_RATE_LIMITS = {"webauthn_login": "30/m/ip"}  # asking for a challenge counts, too
MFA_TOTP_ISSUER = "voiceagent"
MFA_FORMS = {
    "authenticate": "accounts.forms.SecondStepForm",
    "reauthenticate": "accounts.forms.ConfirmByCodeForm",
    "login_webauthn": "accounts.forms.PasskeyLoginForm",
}
STAFF_NEED_SECOND_FACTOR = read.boolean("STAFF_NEED_SECOND_FACTOR", False)

# Guessed passwords: five for one name from one address, then 15 minutes of none. By the pair, so that nobody can lock
# somebody else out of every place.
AXES_HANDLER = "accounts.locks.LockHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_USERNAME_CALLABLE = "accounts.locks.counted_name"
AXES_CLIENT_IP_CALLABLE = "accounts.locks.counted_address"
AXES_DISABLE_ACCESS_LOG = True  # the audit record tells of logins
AXES_ENABLE_ADMIN = False  # accounts/admin.py shows the locks
AXES_VERBOSE = False
SILENCED_SYSTEM_CHECKS = ["axes.W002"]  # accounts/adapter.py answers who is locked out; no middleware is needed for it

# One login provider (OpenID Connect), off without OIDC_SERVER_URL.
OIDC_SERVER_URL = read.url("OIDC_SERVER_URL", "", schemes=("https", "http"))
OIDC_CLIENT_ID = read.text("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = read.secret("OIDC_CLIENT_SECRET", required=bool(OIDC_SERVER_URL))
OIDC_NAME = read.text("OIDC_NAME", "single sign-on")
OIDC_SCOPES = read.words("OIDC_SCOPES", ["openid", "profile"])
OIDC_CREATE_USERS = read.boolean("OIDC_CREATE_USERS", True)
OIDC_GROUPS_CLAIM = read.text("OIDC_GROUPS_CLAIM", "")
OIDC_STAFF_GROUP = read.text("OIDC_STAFF_GROUP", "")
SOCIALACCOUNT_ADAPTER = "accounts.oidc.ProviderAdapter"
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"provider_class": "accounts.oidc.Provider"}}
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True
SOCIALACCOUNT_STORE_TOKENS = False
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# --- HTTP and browser security ----------------------------------------------------------------------------------
BEHIND_HTTPS = SERVES
SESSION_COOKIE_NAME = "__Host-session" if BEHIND_HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if BEHIND_HTTPS else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "voiceagent.error_views.csrf_failure"
SECURE_SSL_REDIRECT = read.boolean("SECURE_SSL_REDIRECT", BEHIND_HTTPS)
SECURE_HSTS_SECONDS = 31536000 if BEHIND_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = read.boolean("HSTS_SUBDOMAINS", BEHIND_HTTPS)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if BEHIND_HTTPS and TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", NONCE],
        "style-src": ["'self'"],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "media-src": ["'self'", "blob:"],
        "font-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
PERMISSIONS_POLICY = "microphone=(self), speaker-selection=(self), screen-wake-lock=(self), camera=(), geolocation=()"
DATA_UPLOAD_MAX_MEMORY_SIZE = 262_144

# --- REST -------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_PARSER_CLASSES": ["voiceagent.strict_json.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "voiceagent.error_views.rest_exception_handler",
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
    "DEFAULT_SCHEMA_CLASS": "api_docs.schema.TableSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "voiceagent",
    "DESCRIPTION": "Client secrets for realtime voice calls, the calls themselves, and one's own history.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "PREPROCESSING_HOOKS": ["api_docs.schema.add_plain_views"],
    "POSTPROCESSING_HOOKS": ["api_docs.schema.add_components"],
}

# --- Static files -----------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "voiceagent.static_files.SiteFiles"},
}

# --- Language, time, log ----------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = read.time_zone("TIME_ZONE", "UTC")
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "voiceagent.log_lines.SafeFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
        }
    },
    "filters": {"request_id": {"()": "voiceagent.request_id.RequestIdFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.server": {"level": "WARNING"},
        # Refusals are rows and answers already; Django's own line for each would say them a third time.
        "django.request": {"level": "ERROR"},
        # Anybody can send any Host header; the answer is 400 and needs no traceback.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # accounts/records.py tells who failed, and keeps what was typed to itself.
        "axes": {"level": "ERROR"},
    },
}

read.known_names.update({"VOICEAGENT_ENV_FILE", "DJANGO_SETTINGS_MODULE"})
read.note_unknown_names(ENV_FILE)
read.refuse_problems()
