"""All commands of the project. `nox -l` lists them; arguments for a command go after `--`."""

import sys
import webbrowser
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["run"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
SITE = Path("site/index.html")
EVERYTHING = ".[postgresql,sqlserver]"
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": None,  # compiled once, modules load in a third of the time
    "PYTHONUTF8": "1",  # the same text on every platform's console
    "NO_MKDOCS_2_WARNING": "1",
    "DISABLE_MKDOCS_2_WARNING": "true",
    "JUPYTER_PLATFORM_DIRS": "1",
}


def install(session: nox.Session, *groups: str, project: str = ".") -> None:
    """Install the project and some dependency groups, each package at the version of constraints.txt."""
    session.env["UV_COMPILE_BYTECODE"] = "1"
    wanted = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    session.install("--constraint", "constraints.txt", "--editable", project, *wanted)
    session.env.update(ENVIRONMENT)


@nox.session
def run(session: nox.Session) -> None:
    """Run the pipeline, write all pages from its record and build the site. `-- --input my.csv --environment production`"""
    install(session)
    told, failed = "", False
    try:
        told = str(session.run("python", "-m", "handover", *session.posargs, success_codes=[0, 10], silent=True, stderr=None))
    except nox.command.CommandFailed:  # a failed run is documented too, then reported
        failed = True
    session.run("python", "-m", "mkdocs", "build", "--strict", silent=True)  # with --quiet it would not count warnings
    sys.stdout.write(f"\n{told}  site     {SITE.resolve().as_uri()}\n\n")
    if failed:
        session.error("the pipeline run failed; the site tells why and what to do")


@nox.session(venv_backend="none")
def serve(session: nox.Session) -> None:
    """Open the built site in a browser, served on this machine only. `-- 8001` for another port"""
    if not SITE.exists():
        session.error("there is no site yet; build it with: nox -s run")
    port = session.posargs[0] if session.posargs else "8000"
    webbrowser.open(f"http://127.0.0.1:{port}/")
    session.run(sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", "site", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, in parallel, and keep the report for the evidence. `-- -k quarantine` runs some and keeps none"""
    install(session, "test", project=EVERYTHING)
    Path("runs").mkdir(exist_ok=True)
    report = () if session.posargs else ("--junitxml=runs/tests.xml",)
    session.run("python", "-m", "pytest", "--numprocesses=auto", *report, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types (strict), import directions, the backlog and the fragments of changes."""
    install(session, "lint", project=EVERYTHING)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    session.run("python", "-m", "generators.backlog", "check")
    session.run("python", "-m", "generators.changes")


@nox.session
def sample(session: nox.Session) -> None:
    """Make a customer file of made-up people. `-- --rows 100000 --out big.csv`"""
    install(session)
    session.run("python", "-m", "generators.sample", *session.posargs)


@nox.session
def drill(session: nox.Session) -> None:
    """Rehearse failures: kill 100 runs at random moments and resume them. `-- --kills 10`"""
    install(session)
    session.run("python", "tests/drill.py", *session.posargs)


@nox.session
def evidence(session: nox.Session) -> None:
    """Try the commands that prove something, then judge all evidence. `-- --fail-on failing,stale --theme observable`"""
    install(session)
    session.run("python", "-m", "generators.evidence", "refresh")
    session.run("python", "-m", "generators.evidence", "check", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure ratios: the whole run, a million rows, PostgreSQL and the evidence, each against something else of the same run."""
    install(session, "test", project=EVERYTHING)
    beyond = []
    for script in sorted(Path("tests").glob("bench_*.py")):
        try:
            session.run("python", script.as_posix())
        except nox.command.CommandFailed:  # the others are measured all the same
            beyond.append(script.name)
    if beyond:
        session.error(f"beyond a limit: {', '.join(beyond)}")


@nox.session
def lock(session: nox.Session) -> None:
    """Pin every dependency anew in constraints.txt, for all platforms and Python versions."""
    session.install("uv")
    session.run(
        "uv", "pip", "compile", "--universal", "--no-header", "--no-annotate", "--upgrade", "--quiet",
        "--python-version", "3.11", "--group", "lint", "--all-extras", "pyproject.toml", "--output-file", "constraints.txt",
    )  # fmt: skip
