"""The handle of an account."""

from attrs import field, frozen

from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg, check_timeout
from fielding_async.core.discovery.projects import AccountItem, ProjectItem
from fielding_async.core.ids import check_ulid
from fielding_async.core.wire.discovery.bodies import decode_accounts, decode_projects
from fielding_async.core.wire.discovery.filters import project_params
from fielding_async.core.wire.operations import operation
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.reading.read import Read

from .lists import Listing
from .project import Project

__all__ = ["Account", "list_accounts"]


@frozen
class Account:
    """The handle of an account, from `session.account(account_id)`.

    Handles with the same session and the same id are equal. Creating a handle sends no request.
    """

    __module__ = "fielding_async"

    _session: EngineSource = field(repr=False)
    account_id: int
    """The account's id."""

    def project(self, project_id: str) -> Project:
        """Return the handle of a project of this account. Raises `ConfigurationError` for a bad id."""
        return Project(self._session, self.account_id, check_ulid("project_id", project_id))

    def list_projects(
        self,
        *,
        status: str | None = None,
        search: str | None = None,
        project_manager_id: str | None = None,
        page_size: int = 100,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Listing[ProjectItem]:
        """Return a list of the account's projects.

        `status`: one of `ProjectStatus`. `search`: 5 to 128 characters that occur in the project's name, or in the
        short id of the project or of one of its target groups. `project_manager_id`: the UUID of a user. `page_size`:
        projects for each request, 1 to 100. `timeout`: seconds for each page.

        Source: `GET /demand/accounts/{account_id}/projects`. Raises `ConfigurationError` for a bad argument; the errors
        of a read are raised by the iteration.
        """
        params = project_params(
            status=status, search=search, project_manager_id=project_manager_id, page_size=page_size
        )
        read = Read(operation("list-projects"), {"account_id": self.account_id}, decode_projects, params)
        return Listing(self._session, read, check_timeout(timeout))


def list_accounts(session: EngineSource, timeout: TimeoutArg) -> Listing[AccountItem]:
    """Return a list of the accounts that the token has access to. `timeout`: seconds for the request."""
    return Listing(session, Read(operation("list-accounts"), {}, decode_accounts), check_timeout(timeout))
