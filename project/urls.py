"""Which address leads to which page."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from health_check.views import HealthCheckView

from frames.web.health import livez

handler403 = "frames.web.errors.not_allowed"
handler404 = "frames.web.errors.not_found"

sign_in = auth_views.LoginView.as_view(
    template_name="sign_in.html", redirect_authenticated_user=True
)
healthz = HealthCheckView.as_view(
    checks=["health_check.checks.Database", "health_check.checks.Cache"],
    template_name="health.html",
)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("sign-in/", sign_in, name="sign_in"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign_out"),
    path("livez", livez, name="livez"),
    path("healthz", login_not_required(healthz), name="healthz"),
    path("", include("frames.web.urls")),
]
