"""Cause and remedy of the messages that do not name both themselves. What varies in a message is written as `…`."""

__all__ = ["ENTRIES"]

_PLACE = "A session works on the event loop, in the thread and in the process that it was entered in."
_CLOSED = "The session was left or closed before the call ended."
_READ = "The reply is not what the API documents: another server, a gateway's page, or a change of the API."
_LOOK = "Run `fielding doctor`, and check `base_url`. If it is the exchange, report the message with its trace id."
_CACHE = "Let the gateway or cache pass `Cache-Control: no-cache` and `ETag` on unchanged; `fielding doctor` names it."
_TOKEN = "Check `token_url`, and any proxy in front of it."
_HEADER = "Check that the request comes from the exchange; answer 400, and do not act on it."
_STORE = "Check the database and the network; call again when it can be reached. Nothing is lost."
_JOURNAL = "Free or repair the disk, and run the batch again with the same journal: it continues."

ENTRIES: dict[str, list[tuple[tuple[str, ...], str, str]]] = {
    "SessionClosedError": [
        (
            ("the session has not been entered: use `async with FieldingSession() as fielding`",),
            "A method was called on a session before `async with`.",
            "Enter the session first.",
        ),
        (
            (
                "the session is closed: make a new one for what comes after",
                "the session is being closed: make a new one for what comes after",
                "the session is closed, and can be entered once: make a new FieldingSession",
                "the session has been entered already, and can be entered once: make another FieldingSession",
            ),
            "A session is entered once, and is of no use after it was closed.",
            "Make one session for the program, and keep it open; or make a new one.",
        ),
        (
            (
                "the session was entered in another process and cannot be used after a fork: make one in each process",
                (
                    "the session was entered in another thread: use it there (asyncio.run_coroutine_threadsafe),"
                    " or make"
                    " one in each thread"
                ),
                "the session was entered on another event loop: make one for each asyncio.run, or do all work in one",
                "the session was entered …",
            ),
            _PLACE,
            "Do what the message says after the colon.",
        ),
        (
            (
                (
                    "there is no running event loop of asyncio: use the session in a coroutine that asyncio.run(…) runs"
                    " (under trio, run it in a thread of its own)"
                ),
            ),
            "The coroutine is run by something else than asyncio.",
            "Run it with `asyncio.run`, or under anyio with its asyncio backend.",
        ),
        (
            (
                "the session was closed while the call was in progress",
                "the session was closed while the call was waiting for its turn",
                "the session was closed while the batch was in progress",
            ),
            _CLOSED + " Nothing of the call was applied.",
            "Close the session after its calls, or with `aclose(drain=seconds)`, which lets them end.",
        ),
        (
            ("the page was not fetched: its task was cancelled",),
            "Something cancelled the task that fetched the next page of a list.",
            "Iterate over the list again.",
        ),
        (
            ("the aiohttp.ClientSession passed as http= has been closed: close it after the FieldingSession",),
            "The session uses the connections of `http=`.",
            "Close `http` after the `FieldingSession`.",
        ),
        (
            (
                "the plans have not been entered: use `async with PostgresPlans() as plans`",
                "the plans have been entered already, and can be entered once: make another PostgresPlans",
                "the plans are closed, and can be entered once: make a new PostgresPlans",
                "the plans are closed: make new ones for what comes after",
                "the plans were closed while the call was in progress: close them after it",
                "the plans were entered in another process and cannot be used after a fork: make them in each process",
                "the plans were entered in another thread: use them there, or make them in each thread",
                "the plans were entered on another event loop: make them for each asyncio.run, or do all work in one",
            ),
            "`PostgresPlans` is entered once, and works where it was entered.",
            "Do what the message says after the colon.",
        ),
    ],
    "TransportError": [
        (
            ("could not connect (…)",),
            (
                "No connection was made: the name has no address, nothing listens, a firewall, TLS, or a proxy."
                " The text in"
                " brackets says which. Nothing was sent."
            ),
            "Run `fielding doctor`. `is_final` says whether another attempt is bound to fail as well.",
        ),
        (
            ("the reply was lost (…)", "the reply broke off (…)", "the reply was not read"),
            (
                "The connection ended before the reply was there. The call was a read, or the run shows that"
                " nothing was"
                " applied."
            ),
            "Call again. If it happens often, look for a gateway whose timeout is shorter than `Timeout.attempt`.",
        ),
        (
            ("the certificate of … is not trusted: …; for a company's own authority pass ssl=…",),
            (
                "The server's certificate is not signed by an authority that this machine knows, as behind a proxy that"
                " decrypts TLS."
            ),
            "Pass `ssl=ssl.create_default_context(cafile=…)` with that authority, or set `SSL_CERT_FILE`.",
        ),
        (
            ("… has no TLS version in common with this side", "… refuses the TLS handshake: no cipher in common, …"),
            "The two sides share no TLS version or cipher.",
            "Update OpenSSL or the server, or pass a context as `ssl=`.",
        ),
        (
            ("… does not speak TLS",),
            "The URL starts with https://, and the port is one for plain http.",
            "Correct scheme or port of `base_url`.",
        ),
        (
            ("the proxy wants another user and password: 407 …", "the proxy refuses to connect: …"),
            "The proxy of `proxy=` or of the environment did not open a connection.",
            "Correct user and password in the proxy's URL, ask who runs it to allow the server, or set `NO_PROXY`.",
        ),
        (
            ("plain http is for this machine only, and the connection leads to …",),
            "`base_url` is http://, and its name leads to another machine.",
            "Use https://.",
        ),
        (
            ("no token: the callable raised …",),
            "The callable of `auth=` raised an exception, which is `__cause__`.",
            "Correct the callable.",
        ),
        (
            ("no token: …",),
            "The token endpoint could not be reached, or did not answer.",
            "Run `fielding doctor`; check `token_url`.",
        ),
    ],
    "DeadlineExceededError": [
        (
            ("time ran out", "time ran out after … s", "… after: …", "…, after: …"),
            "The call did not end within `timeout=` or `Timeout.total`. Nothing was applied.",
            "Call again, with a longer timeout if the server is slow.",
        ),
        (
            ("time ran out after … s while waiting for …", "time would run out while waiting for …"),
            "The call waited for its turn on the run, a slot, the rate or the end of a pause.",
            "Send less at once, use `perform_all`, or raise `Limits.concurrency` or the timeout.",
        ),
        (
            (
                "time ran out after … conflict…: each attempt was refused, as the … had changed; the last refusal: …",
                "time ran out after … conflict…: each attempt was refused, as the … had changed; the last refusal: ……",
            ),
            "Others changed the run before each attempt. Nothing was applied.",
            "Find out what else changes the run; call again.",
        ),
        (
            ("time ran out while a cache answered, or GETs were out of date",),
            "Something between here and the exchange answers GETs from a cache.",
            _CACHE,
        ),
        (
            ("time ran out: job … is still …; the exchange continues it", "time ran out; the last poll failed: …"),
            "The job did not end within `wait(timeout=…)`.",
            "Call `job.wait()` again, or rebuild the job from its id later: it goes on.",
        ),
    ],
    "OutcomeUnknownError": [
        (
            (
                "… may or may not have been applied: …",
                "… may or may not have been applied by an earlier process or try",
            ),
            "A write was sent, its reply was lost, and the run does not show what became of it.",
            "Fetch the run (`fielding run get RUN`), compare it with what you wanted, and decide; do not send blindly.",
        ),
        (
            ("… may or may not have been applied: the … could not be fetched afterwards (…)",),
            "The reply was lost, and the GET after it failed as well.",
            "Fetch the run when the exchange can be reached again.",
        ),
    ],
    "ProtocolError": [
        (
            (
                (
                    "the … came without an ETag header that could be sent back (or it shows a secret), so nothing"
                    " can be"
                    " written safely"
                ),
                "…: a reply without an ETag header that could be sent back",
                "a write needs an ETag",
            ),
            "A gateway removed or changed the header `ETag`.",
            _CACHE,
        ),
        (
            (
                (
                    "a cache answered each GET of the …, so that it is not known as it is now; something between"
                    " here and"
                    " the exchange ignores `Cache-Control: no-cache`; nothing was applied"
                ),
            ),
            "A cache between here and the exchange answers GETs.",
            _CACHE,
        ),
        (
            ("…: a page in place of the exchange's error body; something between here and the exchange made it",),
            "A gateway or firewall answered in place of the exchange.",
            "Find it with `fielding doctor`, and let requests pass.",
        ),
        (
            ("…: … (… expected)",),
            "The status is not the documented one, such as a redirect.",
            "Check `base_url`: redirects are not followed.",
        ),
        (
            (
                "…: expected a JSON object, got …",
                "…: required field missing @ …",
                "…: must be …, not … @ …",
                "…: must be an object, not … @ ….…[]",
                "…: must be int, not … @ $.version",
                "…: …",
                "fielding run: $.… is …, but … was asked for",
                "list of fielding runs: $.data[].… is …, but … was asked for",
                "list of fielding runs: no id of a run: … @ $.data[].id",
                "list of changes: a value with too many levels @ $.changelog[].changes[]",
                "…: $.id is …, but … was asked for",
                "…: a cursor of … characters @ $.next_cursor",
                "…: the list would never end (…)",
                "list of the fielding runs of target group …: … is not a fielding run id",
                "list of the fielding runs of target group …: run … has the … …",
                "Fielding Assistant assignment: not JSON: …",
            ),
            _READ,
            _LOOK,
        ),
        (
            (
                (
                    "Fielding Assistant assignment: shows a secret of this session, such as its token; that was"
                    " taken out,"
                    " so that it cannot be sent back as it is"
                ),
            ),
            "The server repeats the token in a reply.",
            "Report it to who runs the server, and use a new token.",
        ),
        (
            (
                "the job was made, but the reply has no Location header to read its id from",
                "the job was made, but its Location holds no job id: …",
            ),
            "A gateway removed or changed the header `Location`.",
            "Send the job again with the `idempotency_key` of the error: it is the same job.",
        ),
        (
            (
                "no token: the token endpoint's reply is not a JSON object",
                "no token: $.access_token is not a usable token",
                "no token: $.expires_in is not a number of seconds",
                "no token: $.expires_in is …: the token has ended before it is used",
                "no token: … from the token endpoint: a redirect, which is not followed (check token_url)",
            ),
            "The token endpoint's reply is not that of RFC 6749, section 5.1.",
            _TOKEN,
        ),
    ],
    "APIError": [
        (
            ("400 …",),
            "`BadRequestError`: the exchange refuses a value. `invalid_params` names it.",
            "Correct that value.",
        ),
        (
            ("401 …", "… (check the client id and secret)"),
            "`AuthenticationError`: the token, or the client id and secret, are not valid.",
            "Set a valid token; check that it is for this server.",
        ),
        (
            ("403 …",),
            "`PermissionDeniedError`: the token has expired, or has no access to this account.",
            "Fetch a new token, or use client credentials, which the session renews; ask for access.",
        ),
        (
            ("404 …",),
            "`NotFoundError`: an id is wrong or in the wrong place, or the path of `base_url` is wrong.",
            "Check the ids and their order: account, project, target group, run. `fielding doctor` checks the path.",
        ),
        (
            ("412 …", "not sent: if_match is …, and the row before on this run did not end accepted"),
            "`PreconditionFailedError`: the run has changed since `seen=`, or the caller asked for `raise`.",
            "Fetch the run, decide again, and pass the new value as `seen=`.",
        ),
        (
            ("not sent: if_match is …, and there is no row with an if_match before it on this run",),
            "`PreconditionFailedError`: a row says `previous`, and there is no such row.",
            "Write the ETag itself into the row, or put the row it follows before it.",
        ),
        (
            ("422 …",),
            "`InvalidRunStateError`: the run's status does not allow the action; `current` is the run.",
            "Choose an action that the status allows.",
        ),
        (
            ("429 …", "429 to another session, which all pause for"),
            "`RateLimitError`: the pause that the server asked for is longer than the time that was left.",
            "Send more slowly (`Limits.rate`), or give the call more time.",
        ),
        (
            ("5xx …",),
            "`ServerError`: the server, or a gateway in front of it, failed on each attempt.",
            "Call again later. A draft or bulk job may have been made: send it with its `idempotency_key`.",
        ),
    ],
    "JobFailedError": [
        (
            ("job … failed…",),
            "The exchange ended the job as Failed; `result.failure` says why.",
            "Correct what it names, and make a new job.",
        ),
        (
            (
                "bulk job …: … target group was not updated: …",
                "bulk job …: … target group was not updated: … and … more",
                "bulk job …: … target groups were not updated: …",
                "bulk job …: … target groups were not updated: … and … more",
            ),
            "`raise_for_failures()` found target groups that failed or are missing in the result.",
            "Check `result.failed` and `result.missing`; make a job for these.",
        ),
    ],
    "SkippedError": [
        (
            ("not sent: an earlier row of this run failed: …",),
            "A row before it on the same run failed or is unknown (`because`).",
            'Correct that row; or pass `on_row_failure="continue"`.',
        ),
    ],
    "JournalError": [
        (
            ("…: cannot be written: …; nothing more is sent",),
            "The journal's file cannot be written: a full disk, or no permission.",
            _JOURNAL,
        ),
        (
            ("not sent: the lease of what records it is over, so that another process may go on with it",),
            "This worker was stopped or slow for longer than its lease.",
            "Nothing is to be done: another worker continues.",
        ),
        (
            (
                "…; the same call may succeed later",
                "…: a statement of the transaction failed",
                "…: … [SQLSTATE …]",
                "…: no answer in time",
                "…: the connection was lost before",
                "no answer from the database in … seconds",
                "plan …: was deleted meanwhile",
                "…: … (…)",
            ),
            "The database of plans did not answer, or ended the connection.",
            _STORE,
        ),
    ],
    "Other errors of a batch": [
        (
            ("an earlier row of this run failed, too long ago for its error to be kept", "row … of the journal: …"),
            "It is the cause (`because`) of a `SkippedError`: the row ended in an earlier process.",
            "Read the journal: `fielding journal show JOURNAL`.",
        ),
        (
            (
                "pairs: the input was cancelled",
                "perform_all: the input or stop_on raised …",
                "find_runs: where raised …",
                "the task of a row was ended from outside; see batch.leftover",
            ),
            "Your own iterable or callable ended in a way that cannot be raised as it is, or a task was cancelled.",
            "Check `__cause__`, and at `batch.leftover` for the rows that were taken.",
        ),
        (
            ("the … is no longer as seen", "the … has another ETag than …"),
            "It is the cause of a `PreconditionFailedError`.",
            "Fetch the run, and decide again.",
        ),
    ],
    "WebhookVerificationError": [
        (
            (
                "Cint-Signature: the header is missing or empty",
                "Cint-Signature: longer than … characters",
                "Cint-Signature: no timestamp (t=)",
                "Cint-Signature: more than one timestamp (t=)",
                "Cint-Signature: the timestamp (t=) is not a whole number of seconds",
                "Cint-Signature: the timestamp (t=) is out of range",
                "Cint-Signature: no v1 signature",
                "Cint-Signature: more than … v1 signatures",
                "Cint-Signature: no v1 signature of 64 hexadecimal digits",
            ),
            "The request has no signature of the documented form.",
            _HEADER,
        ),
        (
            (
                (
                    "Cint-Signature: no v1 signature matches the body (another secret, or body or time were"
                    " changed): check"
                    " the secret, and pass the body as it came"
                ),
            ),
            "Another secret, or a body that was parsed, decoded or changed before it was checked.",
            "Pass the raw bytes of the body and the secret of this webhook.",
        ),
        (
            (
                "Cint-Signature: signed … seconds ago, more than the … allowed (repeated?)",
                "Cint-Signature: signed … seconds in the future, more than the … allowed (clocks?)",
            ),
            "The request was sent again by somebody, or a clock is wrong.",
            "Set the clock of this machine (NTP); do not act on the request.",
        ),
    ],
    "The sandbox in tests": [
        (
            ("scripted faults that were never used: …: send the requests they are for, or do not script them",),
            "`AssertionError`: the test sent no request that the fault is for, or fewer than there are faults.",
            "Check `on=` and the number of faults.",
        ),
        (
            (
                "no such run: …: use a ref that add_run returned",
                "no such target group: …: use a ref that add_run, add_draft or add_target_group returned",
                "There is no run ….",
            ),
            "`KeyError`: the sandbox has no such run or target group.",
            "Use a ref that the sandbox returned.",
        ),
        (
            (
                "the sandbox is not started: use `async with`, `with` or start()",
                "the sandbox is already started",
                "the sandbox has no control door: pass control=True",
            ),
            "`RuntimeError`: the sandbox is not in the state that the call needs.",
            "Enter it once, with `with` or `async with`.",
        ),
    ],
    "Warnings": [
        (
            ("unclosed …: leave its `async with`, or await its aclose()",),
            (
                "`ResourceWarning`: a session or plans were dropped while they were open. Python hides it unless"
                " it runs"
                " with `-X dev`."
            ),
            "Use `async with`.",
        ),
        (
            ("ssl=False: no certificate is verified, and whoever answers in place of the exchange gets the token",),
            "`ssl=False` was passed.",
            "Pass `ssl=ssl.create_default_context(cafile=…)` for an authority of your own.",
        ),
        (
            (
                (
                    "Shared without scope= and with a plain token: sessions share while they have the same token,"
                    " and a new"
                    " token is a new scope; pass scope=, or use ClientCredentials"
                ),
            ),
            "The token decides which sessions share a pace, and it may change.",
            "Pass `scope=`, the name of the account for example.",
        ),
    ],
    "Exit texts of the command line": [
        (
            ("fielding: …: interrupted by …", "fielding: interrupted by SIGINT", "fielding: …: …: nothing was sent"),
            "A signal ended the command: exit status 128 plus its number.",
            "Give the command again; a plan continues with its journal.",
        ),
        (
            ("fielding: stopped at once; what was in progress may or may not have been applied",),
            "A second signal ended the command at once.",
            "Fetch the run, or read the journal, before you send again.",
        ),
        (
            ("fielding: the output could not be written: …",),
            "The disk or pipe of stdout is full or gone: exit status 1.",
            "Free the disk; the work itself was done as far as the journal says.",
        ),
        (
            ("fielding: cannot listen on …, port …: …", "fielding: the sandbox cannot listen on this machine: …"),
            "The port is in use, or the address is not one of this machine.",
            "Choose another with `--port` or `--host`.",
        ),
        (
            ("fielding: the command line needs two more packages: pip install 'fielding-async[cli]'",),
            "The package was installed without the extra `cli`.",
            "Run the command that it names.",
        ),
        (
            ("fielding: sandbox: an exception was raised inside: …: …",),
            "A function that was passed to the sandbox raised, or the sandbox has an error.",
            "Correct the function; report the other.",
        ),
        (
            (
                "initdb failed: …",
                "PostgreSQL did not start: …",
                (
                    "there is no … on this machine, which the demo needs: install it (Debian, Ubuntu: apt install"
                    " postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), or set"
                    " FIELDING_PLANS_URL to a database"
                ),
            ),
            "`fielding plans demo` starts a PostgreSQL of its own, and could not.",
            "Install PostgreSQL, or set `FIELDING_PLANS_URL` to a database.",
        ),
    ],
}
