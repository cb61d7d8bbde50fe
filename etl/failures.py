"""The failures: each one declared once, with what the operator sees and does. Runbook, exit codes and diagram read it.

Severities: P1 act at once, P2 the same day, P3 the next working day, P4 look at it in the weekly review.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["P1", "P2", "P3", "P4"]

RUN = "nox -s run"
RUN_ETL = "python -m etl run"
SHOW_SETTINGS = "python -m etl config"
LIST_RUNS = "python -m etl runs"
SHOW_QUARANTINE = "python -m etl quarantine"
MIGRATE = "python -m etl migrate"
TEST_ALERTS = "python -m etl alert test"
LIST_ALERTS = "python -m etl alert list"
WATCH = "python -m etl alert check"
TELL_STORY = "python -m etl logs --story"
PRUNE = "python -m etl prune"


@dataclass(frozen=True)
class Step:
    """Something to do; `command` when a command does it."""

    text: str
    command: str | None = None


@dataclass(frozen=True)
class Failure:
    """A way in which the pipeline can fail. `id` is the anchor of its section in the runbook."""

    id: str
    title: str
    severity: Severity
    symptom: str
    meaning: str
    impact: str
    detected: str
    checks: tuple[str, ...]
    steps: tuple[Step, ...]
    verify: Step
    otherwise: str


SEVERITY_WORDS: dict[Severity, tuple[str, str]] = {
    "P1": ("personal data may be exposed, or wrong data is in use", "at once, at any hour"),
    "P2": ("the run failed, or no run happened when one was due", "the same day"),
    "P3": ("the run ended with warnings, or something works worse than it should", "the next working day"),
    "P4": ("nothing is lost and it put itself right", "in the weekly review"),
}

_LIST = Step("The newest line tells the outcome", LIST_RUNS)

FAILURES: tuple[Failure, ...] = (
    Failure(
        "settings-wrong", "A setting is wrong", "P2",
        "Exit code 2; “Bad configuration” names every fault with the place it came from",
        "A setting is unknown, missing or of the wrong type, in a file, an environment variable or on the command line",
        "Nothing was read or written; the warehouse is as it was",
        "Before the run starts",
        ("Which source does the message name: a file in `config/`, an environment variable, the command line?",),
        (Step("Correct the setting where the message says it came from; it names the nearest known one"),
         Step("Look at all settings in force", SHOW_SETTINGS), Step("Run again", RUN)),
        Step("Every setting is listed with its origin, without an error", SHOW_SETTINGS),
        "Run with the defaults to see whether the environment's file is the cause, and call the operations lead",
    ),
    Failure(
        "input-unusable", "The input can't be used", "P2",
        "Exit code 3; “Bad input” names the file and what is wrong: not there, empty, a column missing",
        "The supplier's file is missing, empty or laid out differently from what was agreed",
        "Nothing was loaded; the warehouse still holds the load before",
        "When the file is opened, before the first row",
        ("Is the file where `input.path` points, and is its size as usual?", "Does its first line name the columns the message asks for?"),
        (Step("Missing or empty: ask the supplier for a complete file and put it in place"),
         Step("A column has another name: correct the header in a copy, and tell the supplier which layout was agreed"),
         Step("Run again", RUN)),
        _LIST,
        "Keep the file as it came and call the supplier's contact; the last good load stays in use meanwhile",
    ),
    Failure(
        "encoding-wrong", "Letters come out wrong or many lines are refused", "P3",
        "Rule `row.encoding` on many lines, or “not readable as utf-16”",
        "The file is written in another encoding than `input.encoding` says",
        "The lines with such bytes are in quarantine; names in the others can be garbled if the wrong encoding fits by chance",
        "By the rule `row.encoding`, or as bad input",
        ("How many lines break `row.encoding`? A few are damage, all of them are the wrong encoding",),
        (Step("See which lines they are", SHOW_QUARANTINE),
         Step("Have the supplier export as UTF-8, or name the encoding", "python -m etl run --set input.encoding=cp1252")),
        Step("The rule is no longer in the list", SHOW_QUARANTINE),
        "Do not guess a third encoding: ask the supplier which program writes the file",
    ),
    Failure(
        "late-file", "The file is older than promised", "P3",
        "The quality page shows timeliness below its target",
        "The file's date is more than `input.promised_age` hours before the run: it was delivered late or not replaced",
        "Customers are loaded as they were when the file was made",
        "By the dimension timeliness after each run",
        ("Is it the same file as in the run before? The checksum on the run's page tells",),
        (Step("Ask the supplier for the newest file"), Step("Run again", RUN)),
        _LIST,
        "If the supplier can't deliver, tell the readers which day's customers they see",
    ),
    Failure(
        "reference-unusable", "A reference file can't be read", "P2",
        "Exit code 2; the message names `references.postcodes` or `references.companies`",
        "A file below `data/reference/` is missing, has other columns, or holds a key twice",
        "Nothing was loaded",
        "When the run starts",
        ("Did somebody edit the file? `git status` and `git diff` show it",),
        (Step("Restore the file from git, or correct the setting that names it"), Step("Run again", RUN)),
        _LIST,
        "Call the operations lead; a run without references would lose places and companies, so there is no way round",
    ),
    Failure(
        "too-many-rejects", "Too many rows are rejected", "P2",
        "Exit code 5; “Stopped by a threshold” tells how many of how many rows",
        "More rows break a rule than `quality.rejects_stop` allows: the export went wrong, or the layout shifted",
        "The batch in hand was not loaded; rejected rows are in quarantine, the warehouse holds the load before",
        "After each batch, before it is loaded",
        ("Does one rule stand out? Then one cause is behind all of it",
         "Do the rejected lines lie together? Then the file is damaged there"),
        (Step("See which rules, and which lines", SHOW_QUARANTINE),
         Step("One rule, all lines: the supplier's export changed; ask for a correct one"),
         Step("Accept it knowingly, with the data steward's word, for one run", "python -m etl run --set quality.rejects_stop=0.5"),
         Step("Write the pages anew", "python -m generators")),
        _LIST,
        "Leave the warehouse as it is and call the data steward: yesterday's data is better than half of today's",
    ),
    Failure(
        "finished-with-warnings", "The run ended with warnings", "P3",
        "Exit code 10; the summary names each warning",
        "The run loaded its input, and something is outside its range: rejects, or a dimension below its minimum",
        "Good rows are loaded, rejected ones wait in quarantine",
        "At the end of the run, from its own figures",
        ("Which warning is it? The run's page lists them",),
        (Step("See what was rejected", SHOW_QUARANTINE), Step("Follow the remedy of the rule that costs most; the scorecard names it")),
        _LIST,
        "If the same warning comes three runs in a row, take it to the data steward: the cause is at the source",
    ),
    Failure(
        "service-down", "A live service does not answer", "P3",
        "Exit code 10; “the service for postcodes (or companies) did not answer for … keys”, and “service left alone” in the log",
        "The service is down, its address is wrong, the network is cut, or it refuses us: “denied” points to the key or the address",
        "All rows are loaded; places are those of the postcode's area, companies those of the reference, some are missing",
        "At every call; after `services.breaker_failures` failures in a row the service is left alone for a while",
        ("Which kind of failure does the warning count: connection, timeout, unavailable, denied?",
         "Do `services.postcodes_url` and `services.companies_url` say what they should, and is the key set?"),
        (Step("Look at the addresses in force", SHOW_SETTINGS), Step("Ask the service's operator, or its status page"),
         Step("When it is back, run again: what was not answered is asked again, the rest comes from the cache", RUN)),
        Step("The newest line tells success, without a warning about a service", LIST_RUNS),
        "Run without it until it is back, by the embedded reference alone: `--set services.postcodes_url=`. Call the operations lead",
    ),
    Failure(
        "service-slow", "A live service is slow or throttles us", "P3",
        "A run takes longer than usual; the record shows retries, “throttled” or “timeout”, and a high p95",
        "The service has too much to do, or we ask more than our share",
        "The run waits; what is not answered in time is loaded as when the service is down",
        "Each call has a limit of time; pauses grow, and follow what the service asks for up to `services.longest_pause`",
        ("Is it throttling (429), or are answers late?", "Did the file bring far more new postcodes or companies than usual?"),
        (Step("Ask less at once", f"{RUN_ETL} --set services.concurrency=1"),
         Step("Agree with the operator how much we may ask, and lower `services.concurrency` for good")),
        Step("The newest line shows the seconds a run usually takes", LIST_RUNS),
        "Run without the service, by the embedded reference alone, until it keeps up: `--set services.postcodes_url=`",
    ),
    Failure(
        "service-nonsense", "A live service answers nonsense", "P3",
        "Exit code 10; the warning counts “contract” failures",
        "Its interface changed, or something between us and it answers in its place: broken JSON, other types, another postcode's place",
        "No such answer became a value of a row; those rows are loaded as when the service is down",
        "Every answer is checked before it is used or kept; after one more try it counts as failed",
        ("Has the service a new version?", "Does a proxy or a sign-in page answer at that address?"),
        (Step("Look at the addresses in force", SHOW_SETTINGS), Step("Compare one answer with `etl/services.py`, with a made-up postcode"),
         Step("Tell the operator, or adapt the client; then run again", RUN)),
        Step("The newest line tells success, without a warning about a service", LIST_RUNS),
        "Run without the service, by the embedded reference alone: `--set services.postcodes_url=`",
    ),
    Failure(
        "cache-damaged", "The cache of answers is damaged", "P4",
        "“cache set aside” or “cache not used” in the log of a run that went well",
        "A crash while writing, a full disk, or another program changed the file",
        "None for the data: the answers are asked for again. The run takes longer",
        "Each answer is kept with a checksum; the file is looked at when it is used",
        ("Does it come back? Then look at the disk", "“Cache not used”: may this account write where `services.cache_path` points?"),
        (Step("Nothing: the file lies beside as `.damaged` and a new one was begun"),
         Step("Delete the damaged file, it holds postcodes: `warehouse/services.sqlite.damaged`"), Step("Run again if you like", RUN)),
        Step("The next run logs neither line", RUN),
        "Point `services.cache_path` to another disk, or keep none: `--set services.cache_age=0`",
    ),
    Failure(
        "warehouse-unavailable", "The warehouse can't be used", "P1",
        "Exit code 4; “Warehouse down” names the file and the kind of error",
        "Another process holds the file, its folder can't be written, or it is no warehouse",
        "Nothing of the batch in hand was loaded; batches committed before it stay and are not loaded twice",
        "When it is opened, or at the batch that is refused",
        ("Does another run or a notebook have the file open?", "Is there room on the disk, and may this account write there?"),
        (Step("Close whatever has the file open"), Step("See which file is meant", SHOW_SETTINGS), Step("Run again", RUN)),
        _LIST,
        "Move the file away (do not delete it) and run: a new one is made from the input. Then call the warehouse owner",
    ),
    Failure(
        "two-runs-at-once", "Two runs at once", "P4",
        "Exit code 6; “Another run is under way” names its process",
        "A run holds the lock of the warehouse; the second one was turned away",
        "None: the first run goes on, and nothing of the second was read or written",
        "When the second run opens the warehouse",
        ("Is the first run still writing its log in `runs/`?",),
        (Step("Wait until the first has ended"), Step("Run again if its input was another one", RUN)),
        _LIST,
        "If the first run hangs, stop it (Ctrl-C) and follow [the run was stopped](#run-killed); the lock frees itself when its holder dies",
    ),
    Failure(
        "schema-drift", "The tables are not as declared", "P2",
        "Exit code 4; “Tables not as declared” names each table and column",
        "Somebody altered a table, or the pipeline is newer than the warehouse",
        "Nothing was loaded; the warehouse is as it was",
        "When the run starts, before the first row",
        ("Was the pipeline updated, or did somebody work on the tables?",),
        (Step("See what would be added; nothing is ever dropped", MIGRATE), Step("Apply it", f"{MIGRATE} --apply"), Step("Run again", RUN)),
        Step("There is nothing left to do", MIGRATE),
        "Call the warehouse's owner before you apply anything that you do not understand",
    ),
    Failure(
        "run-killed", "The run was stopped", "P2",
        "Exit code 130, or a folder in `runs/` without `run.json`",
        "Somebody stopped the run, or the machine did",
        "Batches committed before stay, with a checkpoint; the batch in hand is not in the warehouse",
        "By the outcome “interrupted”, by the missing record, or by the audit row “killed” that the next run leaves",
        ("Was it a person, a restart, or too little memory?",),
        (Step("Run again: it goes on behind the last committed batch of the same file", "python -m etl run --quiet"),
         Step("Start from the first row instead, if you doubt what was loaded", "python -m etl run --restart")),
        Step("The summary names the run it went on with, and rows read are those of the whole file", LIST_RUNS),
        "If it is stopped again at the same place, run with smaller batches: `--set input.batch_size=5000`",
    ),
    Failure(
        "disk-full", "The disk is full or can't be written", "P1",
        "Exit code 7; “Disk full” tells how much a run needs. Or an error that names `runs` or the warehouse, or exit code 1 with “OSError”",
        "There is no room, or this account may not write there",
        "The run stopped; what was committed before stays",
        "When a file is written",
        ("How much room is left where `runs.path` and `warehouse.path` lie?",),
        (Step("Make room: delete what is past its time", PRUNE), Step("See what else fills the disk"), Step("Run again", RUN)),
        _LIST,
        "Point `runs.path` and `warehouse.path` to another disk and call the operations lead",
    ),
    Failure(
        "unexpected-error", "An error the pipeline does not know", "P2",
        "Exit code 1; the message names a place in the code and no values",
        "A fault in the pipeline itself",
        "The batch in hand was not loaded",
        "Where it happens; the run is recorded as failed",
        ("Does it come again with the same file?",),
        (Step("See what the run did before it failed", TELL_STORY), Step("Run again once", RUN), Step("Keep the folder of the run and report the place that the message names")),
        _LIST,
        "Load the file of the day before, and call the operations lead",
    ),
    Failure(
        "nothing-ran", "No run when one was due", "P2",
        "Pages say they are older than two scheduled runs; the newest run on the list is too old",
        "The scheduler did not start the run, or the machine was off",
        "Readers see old data without an error anywhere",
        "By the age of the pages, and by a watcher outside the pipeline that calls `python -m etl alert check`",
        ("When was the last run, and did it fail?",),
        (Step("See the list", LIST_RUNS), Step("Run by hand", RUN), Step("Mend the schedule")),
        _LIST,
        "Call the operations lead; tell the readers which day's data they see",
    ),
    Failure(
        "run-slow", "The run took much longer than usual", "P3",
        "An alert “run slow”, or a run's page whose stages took longer than those of the runs before",
        "More rows than usual, a busy machine, or a slower stage",
        "None yet; if it grows, the next deadline is missed",
        "After each run, against the baseline of its environment",
        ("Did the rows grow as the time did? Then nothing is wrong with the pipeline", "Which stage took the time? The run's page tells"),
        (Step("Compare the runs", LIST_RUNS), Step("See what else runs on the machine at that hour"), Step("Run again", RUN)),
        _LIST,
        "If one stage stays slow with the same number of rows, report the stage and the commit since which it is",
    ),
    Failure(
        "alert-not-sent", "An alert was not sent", "P3",
        "A warning “alert could not be sent” on the run's page, or `failed` in the list of alerts",
        "The mail server is down, refuses the sign-in or a receiver, or can't prove who it is",
        "The run is as good as it is without the mail; nobody was told what it found",
        "By the record of the run, and by the next mail that comes through",
        ("Which error class stands in the list? The page on e-mail alerts says what each one means",
         "What did the alerts that were not sent say? Act on them first"),
        (Step("See what was found and not sent", LIST_ALERTS), Step("Correct the setting or have the mail server mended; see the mail settings", SHOW_SETTINGS),
         Step("Send a test of every alert", TEST_ALERTS)),
        Step("Each line says sent", LIST_ALERTS),
        "Tell the operations lead by telephone, and look at the list of runs by hand until mail works",
    ),
    Failure(
        "wrong-figures", "The run is green and the data is wrong", "P1",
        "A reader reports it, or risk bands and places shift without a reason",
        "Columns were swapped at the source, a rule or the scoring has a fault, or the reference is wrong",
        "People may act on wrong data",
        "By a person, or by comparing runs: the list shows rows and quality of each",
        ("Since which run? Compare rows, risk and lookups on the runs' pages", "Which commit did that run have, and what changed in it?"),
        (Step("Stop the schedule, and tell the readers"), Step("See the runs", LIST_RUNS),
         Step("Go back to the last good commit, or ask for a correct file"), Step("Run again", RUN)),
        _LIST,
        "Call the data steward and the operations lead at once; wrong data that was acted on is an incident",
    ),
    Failure(
        "personal-data-exposed", "Personal data where it must not be", "P1",
        "A name, address or number of a customer in a log, a run record or on a page",
        "A new message or template lets a value through",
        "A personal data breach may have happened; a clock runs from the moment somebody is reasonably sure",
        "By the test that looks for every sample customer in all outputs, or by a reader",
        ("Where does it stand, and who could see it since when?",),
        (Step("Take the pages offline"), Step("Call the data protection officer; write down when you became aware"),
         Step("Keep what shows how it happened, and restrict who can read it")),
        Step("The scan finds nothing", "nox -s tests -- -k privacy"),
        "There is no otherwise: the data protection officer leads from here",
    ),
)  # fmt: skip


def failure(failure_id: str) -> Failure:
    """Return the failure with this id; raises KeyError when there is none."""
    return {one.id: one for one in FAILURES}[failure_id]
