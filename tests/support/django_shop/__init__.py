"""A Django project of one app, whose models emit; `django` is set up once a process."""

import os

import django
from django.conf import settings

_DATABASE = {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}


def set_up() -> None:
    """Its databases have no name yet: each driver and each test connects them to its own."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        DATABASES={"default": _DATABASE, "shop": dict(_DATABASE)},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "dispatcher.contrib.django",
            "tests.support.django_shop",
        ],
        # Their tables are made at once: only a project that was released needs to migrate.
        MIGRATION_MODULES=dict.fromkeys(("admin", "auth", "contenttypes", "sessions")),
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="tests.support.django_shop.urls",
        SECRET_KEY="tests only",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        TIME_ZONE="Asia/Tokyo",
        USE_TZ=False,
    )
    before = os.environ.get("DATABASE_URL")
    django.setup()
    if before is None:  # the app has set it, and other tests have databases of their own
        os.environ.pop("DATABASE_URL", None)
