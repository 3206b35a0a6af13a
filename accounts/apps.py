from django.apps import AppConfig, apps

# What the administration calls the applications whose lists accounts/admin.py shows.
HEADINGS = {
    "axes": "Failed logins and locks",
    "mfa": "Second factors",
    "socialaccount": "Login provider",
    "usersessions": "Sessions",
}


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from accounts import checks, passwords, records, rights  # noqa: F401  # all register what they hold

        for label, heading in HEADINGS.items():
            apps.get_app_config(label).verbose_name = heading
