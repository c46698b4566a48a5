"""Signing in. Signing out is Django's own."""

from __future__ import annotations

from django.contrib.auth.views import LoginView

signin = LoginView.as_view(template_name="accounts/signin.html", redirect_authenticated_user=True)
