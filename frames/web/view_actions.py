"""What can be done with data views: to one or to several at once, by whoever may (W6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from frames.actions import views
from frames.actions.fields import Refused
from frames.models import DataView, Grant
from frames.search.view_definition import DefinitionError
from frames.web import access
from frames.web.http import back_from
from frames.web.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.contrib.auth.models import User
    from django.http import HttpResponse

    from frames.models import Project
    from frames.web.http import SignedInRequest

SELECTED_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done, and who may do it to which views.

    `done` follows "3 views"; what asks for confirmation shows `warning` first.
    """

    name: str
    label: str
    done: str
    role: Grant.Role
    fits: Callable[[DataView], bool]
    unfit: str
    warning: str = ""


ACTIONS: Final = {
    action.name: action
    for action in (
        Action(
            "publish",
            "Publish",
            "published",
            Grant.Role.ADMIN,
            lambda view: view.is_draft and not view.is_archived,
            "is no draft",
            "A published view never changes again. It can be cloned.",
        ),
        Action("clone", "Clone", "cloned", Grant.Role.EDITOR, lambda view: True, ""),
        Action(
            "move",
            "Move to project",
            "moved",
            Grant.Role.EDITOR,
            lambda view: True,
            "",
            "The members of the other project then see it, and those of this one no more.",
        ),
        Action(
            "archive",
            "Archive",
            "archived",
            Grant.Role.EDITOR,
            lambda view: not view.is_archived,
            "is in the archive already",
        ),
        Action(
            "restore",
            "Restore",
            "restored",
            Grant.Role.EDITOR,
            lambda view: view.is_archived,
            "is not in the archive",
        ),
        Action(
            "delete",
            "Delete",
            "deleted",
            Grant.Role.ADMIN,
            lambda view: view.is_archived,
            "is not in the archive",
            "A deleted view cannot be brought back. The frames it names stay as they are.",
        ),
    )
}


# What needs nothing but the view and who acts.
_ACTS: Final[dict[str, Callable[..., DataView]]] = {
    "publish": views.publish_view,
    "clone": views.clone_view,
    "archive": views.archive_view,
    "restore": views.restore_view,
}


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """What is about to be done, to which views, and which are left out."""

    action: Action
    able: list[DataView]
    others: list[str]
    projects: list[Project]
    next: str

    @property
    def count(self) -> str:
        """How many it is done to."""
        return plural(len(self.able), "view")


def actions_of(view: DataView, role: int) -> list[str]:
    """Return the names of what someone with a role in its project may do to a view now."""
    return [a.name for a in ACTIONS.values() if role >= a.role and a.fits(view)]


@require_POST
def view_act(request: SignedInRequest) -> HttpResponse:
    """Do one thing to the chosen views; ask first where it cannot be taken back."""
    # A row's own button names one view, and what is ticked elsewhere is left alone.
    one, _, uid = request.POST.get("one", "").partition(" ")
    name = one or request.POST.get("action", "")
    uids = [uid] if one else request.POST.getlist("view")[:SELECTED_MAX]
    # PostgreSQL refuses to be asked for one.
    uids = [uid for uid in uids if "\x00" not in uid]
    if name not in ACTIONS:
        raise Http404
    action = ACTIONS[name]
    back = _back(request)
    found = DataView.objects.visible_to(request.user).filter(uid__in=uids)
    chosen = list(found.select_related("project").order_by("name", "pk"))
    if not chosen:
        if uids or one:
            raise Http404
        messages.warning(request, "Choose the views first: tick the boxes before their names.")
        return redirect(back)
    roles = access.roles_in(request.user, {view.project_id for view in chosen})
    if not any(roles[view.project_id] >= action.role for view in chosen):
        raise PermissionDenied
    able = [view for view in chosen if name in actions_of(view, roles[view.project_id])]
    others = [
        f"{view.name} {action.unfit if roles[view.project_id] >= action.role else 'is not yours'}"
        for view in chosen
        if view not in able
    ]
    project = None
    projects = []
    if able and name == "move":
        projects = [
            other
            for other in access.editable_projects(request.user)
            if any(view.project_id != other.pk for view in able)
        ]
        if not projects:
            messages.warning(request, "There is no other project that you may change.")
            return redirect(back)
    if able and action.warning:
        page = ConfirmPage(
            action=action,
            able=able,
            others=others,
            projects=projects,
            next=back,
        )
        if not request.POST.get("confirmed"):
            return render(request, "view/confirm.html", {"page": page})
        if name == "move":
            project = access.project_or_404(
                request.user, request.POST.get("project", "").strip("\x00")
            )
            access.require(request.user, project, Grant.Role.EDITOR)
    done, refused = _do(action, able, request.user, project)
    if done:
        messages.success(request, f"{plural(len(done), 'view')} {action.done}.")
    for reason in [*others, *refused]:
        messages.warning(request, f"Left as it was: {reason.rstrip('.')}.")
    if name == "clone" and len(done) == 1:
        return redirect("frames:view_edit", done[0].uid)
    if name == "delete" and back.startswith(reverse("frames:view_detail", args=[chosen[0].uid])):
        return redirect(f"{reverse('frames:view_list')}?archived=1")
    return redirect(back)


def _do(
    action: Action, able: Sequence[DataView], actor: User, project: Project | None
) -> tuple[list[DataView], list[str]]:
    """Do it to each; return what came of it, and why others were left as they were."""
    done: list[DataView] = []
    refused: list[str] = []
    for view in able:
        try:
            if action.name == "delete":
                views.delete_view(view, actor=actor)
                done.append(view)
            elif project is not None:
                done.append(views.move_view(view, project=project, actor=actor))
            else:
                done.append(_ACTS[action.name](view, actor=actor))
        except Refused as error:
            refused.append(str(error))
        except DefinitionError as error:
            refused.append(f"{view.name}: {error}")
    return done, refused


def _back(request: SignedInRequest) -> str:
    back = back_from(request)
    return reverse("frames:view_list") if back == "/" else back
