"""What every request passes and every response carries: who asks, CSRF, limits, cookies, headers."""

import secrets

from flask import Flask, Response, current_app, g, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from console.views import assets, error_pages
from console.views.login import load_staff, require_staff

#: Webhooks exempt themselves: `csrf.exempt(blueprint)`. Nothing else may.
csrf = CSRFProtect()

HSTS = "max-age=31536000; includeSubDomains"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Wires it all; the order of the checks before a request is the order below."""
    settings = app.config["SETTINGS"]
    secure = settings.secure_cookies
    app.config.update(
        SECRET_KEY=settings.secret_key,
        # Flask's own session holds the CSRF token and the messages of the last step, nothing else.
        SESSION_COOKIE_NAME=("__Host-" if secure else "") + "crewdeck_page",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # A token lives as long as the session it belongs to: a form may stay open over lunch.
        WTF_CSRF_TIME_LIMIT=None,
        # The Referer, which some browsers hide, guards against cookies planted by a neighbouring
        # subdomain; the __Host- prefix does that already.
        WTF_CSRF_SSL_STRICT=False,
        # A proof and the form around it.
        MAX_CONTENT_LENGTH=int((settings.proof_max_mb + 1) * 1024 * 1024),
    )
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]
    app.before_request(load_staff)
    app.before_request(require_staff)
    csrf.init_app(app)
    error_pages.init_app(app)
    assets.init_app(app)
    app.after_request(_add_headers)
    app.teardown_request(_close_uploads)
    app.jinja_env.globals["csp_nonce"] = csp_nonce


def csp_nonce() -> str:
    """What this response's own scripts and style elements carry; nobody can guess it."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(18)
    return g.csp_nonce


def content_security_policy() -> str:
    nonce = f"'nonce-{csp_nonce()}'"
    return (
        f"default-src 'self'; script-src {nonce}; style-src 'self' {nonce}; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def _close_uploads(_error: BaseException | None) -> None:
    """Gives the space of large uploads back at once; what nobody asked for was never read."""
    if "files" in request.__dict__:
        for file in request.files.values():
            file.close()


def _add_headers(response: Response) -> Response:
    # A download may be stricter still: a view's own policy stays.
    response.headers.setdefault("Content-Security-Policy", content_security_policy())
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if response.status_code >= 400 or request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    if current_app.config["SETTINGS"].secure_cookies:
        response.headers["Strict-Transport-Security"] = HSTS
    return response
